"""Lets Debian's own Sugar register this laptop: register_laptop.py URL. Prints a line of JSON about how it went."""
import json
import sys

from jarabe.desktop import schoolserver

try:
    print(json.dumps({"registered": schoolserver.register_laptop(sys.argv[1])}))
except schoolserver.RegisterError as error:
    print(json.dumps({"shown": str(error)}))
