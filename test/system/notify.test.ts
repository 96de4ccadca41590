import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, symlink } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import t, { type Test } from 'tap'
import { freePorts, program, run, startServer, until } from '../support/core/server-process.js'
import { needs } from '../support/needs.js'
import { temporaryDirectory } from '../support/temporary-directory.js'

const args = [...freePorts, '--plugins', 'id']

t.setTimeout(300_000)

// Node has no datagram sockets of this kind.
const listener = `
import socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind(sys.argv[1])
print('bound', flush=True)
while True:
    for line in s.recv(65536).decode().split('\\n'):
        print(line, flush=True)
`

/** What stands at the other end of NOTIFY_SOCKET. */
async function manager(t: Test): Promise<{ socket: string; heard: string[] }> {
  const socket = join(await temporaryDirectory(t), 'notify')
  const child = spawn('python3', ['-c', listener, socket], { stdio: ['ignore', 'pipe', 'inherit'] })
  const closed = once(child, 'close')
  t.teardown(() => {
    child.kill('SIGKILL')
    return closed
  })
  const heard: string[] = []
  createInterface(child.stdout).on('line', (line) => heard.push(line))
  await until(() => heard[0] === 'bound', 'the socket')
  return { socket, heard }
}

t.test('systemd is told when the school is open, how it fares, and when it closes', async (t) => {
  if (!needs(t, 'systemd-notify', 'systemd') || !needs(t, 'python3', 'python3')) return
  const { socket, heard } = await manager(t)
  const server = await startServer(t, { args, env: { NOTIFY_SOCKET: socket } })
  await until(() => heard.includes('READY=1'), 'READY=1')
  t.ok(
    heard.some((line) => /^STATUS=1 plugins? run/.test(line)),
    'with a status',
  )
  t.notOk(heard.includes('STOPPING=1'))
  t.equal((await fetch(`${await server.url('httpd')}/health`)).status, 200)
  t.equal((await server.stop()).code, 0)
  await until(() => heard.includes('STOPPING=1'), 'STOPPING=1')
  t.equal(heard.filter((line) => line === 'READY=1').length, 1)
})

t.test('a start that fails never says that it is ready', async (t) => {
  if (!needs(t, 'systemd-notify', 'systemd') || !needs(t, 'python3', 'python3')) return
  const { socket, heard } = await manager(t)
  const first = await startServer(t)
  await t.rejects(
    startServer(t, { root: first.root, env: { NOTIFY_SOCKET: socket } }),
    /another sugar-server/,
  )
  t.notOk(heard.includes('READY=1'))
})

t.test('a command says nothing to systemd, though it may open the house for itself', async (t) => {
  if (!needs(t, 'systemd-notify', 'systemd') || !needs(t, 'python3', 'python3')) return
  const { socket, heard } = await manager(t)
  const home = await temporaryDirectory(t)
  const words = [process.execPath, program, 'id', 'list', '--root', join(home, 'root')]
  t.equal((await run(t, words, { env: { NOTIFY_SOCKET: socket } })).code, 0)
  await run(t, ['systemd-notify', 'STATUS=the end'], { env: { NOTIFY_SOCKET: socket } })
  await until(() => heard.includes('STATUS=the end'), 'the end')
  t.same(
    heard.filter((line) => /^(READY|STOPPING)=/.test(line)),
    [],
  )
})

t.test('without the program that tells systemd the school is open all the same', async (t) => {
  const folder = join(await temporaryDirectory(t), 'bin')
  await mkdir(folder)
  await symlink('/usr/bin/flock', join(folder, 'flock'))
  const server = await startServer(t, { args, env: { NOTIFY_SOCKET: '/nowhere', PATH: folder } })
  t.equal((await fetch(`${await server.url('httpd')}/health`)).status, 200)
  t.equal((await server.stop()).code, 0)
})

t.test('without flock nothing starts, and it is said which package brings it', async (t) => {
  const folder = await temporaryDirectory(t)
  await t.rejects(
    startServer(t, { env: { PATH: folder } }),
    /the program flock is not installed\n {2}install the package util-linux/,
  )
})
