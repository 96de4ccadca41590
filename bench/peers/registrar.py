#!/usr/bin/env python3
"""The peer of the bench "register": what a school server in Python does, a threaded XML-RPC server over SQLite.

Written from the documented interface of OLPC's registration service. SQLite keeps its default durability.
"""
import re
import sqlite3
import sys
import threading
from socketserver import ThreadingMixIn
from xmlrpc.server import SimpleXMLRPCRequestHandler, SimpleXMLRPCServer

port, path = int(sys.argv[1]), sys.argv[2]


class Handler(SimpleXMLRPCRequestHandler):
    rpc_paths = ("/", "/RPC2")
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass


class Server(ThreadingMixIn, SimpleXMLRPCServer):
    daemon_threads = True
    request_queue_size = 512


local = threading.local()
lock = threading.Lock()

with sqlite3.connect(path) as database:
    database.execute(
        "CREATE TABLE laptops (serial TEXT PRIMARY KEY, nickname TEXT, pubkey TEXT, uuid TEXT, lastmodified TEXT)"
    )


def register(serial, nickname, uuid, pubkey):
    if not re.match(r"^[A-Z]{3}[A-F0-9]{8}$", serial):
        return {"success": "ERR", "error": "bad serial"}
    with lock:
        if not hasattr(local, "database"):
            local.database = sqlite3.connect(path, timeout=30)
        local.database.execute(
            "INSERT OR REPLACE INTO laptops VALUES (?, ?, ?, ?, datetime('now'))", (serial, nickname, pubkey, uuid)
        )
        local.database.commit()
    return {
        "success": "OK",
        "backupurl": serial + "@schoolserver:backup",
        "jabberserver": "schoolserver",
        "backuppath": "/library/users/" + serial,
    }


server = Server(("127.0.0.1", port), requestHandler=Handler, logRequests=False, allow_none=True)
server.register_function(register)
print("ready", flush=True)
server.serve_forever()
