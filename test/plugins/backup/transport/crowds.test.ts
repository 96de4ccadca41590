import { connect, createServer, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { until } from '../../../support/backup/plain-sessions.js'
import { Laptop } from '../../../support/backup/ssh-laptop.js'
import { serving, tools } from '../../../support/backup/ssh2-server.js'

/** Small bounds, so that a few dozen sockets are a crowd. */
const bounds = {
  ...{ newcomers: 60, newcomersAlike: 40, connections: 16, perNetwork: 12, waiting: 40 },
  ...{ silence: 1500, silenceOfMany: 500 },
}

/** What an OpenSSH says first, up to its names, as it is on the wire. */
async function firstWords(t: Test, laptop: Laptop): Promise<Buffer> {
  let said = Buffer.alloc(0)
  const server = createServer((socket) => {
    socket.on('error', () => undefined).write('SSH-2.0-x\r\n')
    socket.on('data', (piece) => {
      said = Buffer.concat([said, piece])
      const names = said.indexOf('\n') + 1
      if (names > 0 && said.length >= names + 4 && said.length >= names + 4 + said.readUInt32BE(names))
        socket.destroy()
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => server.close())
  laptop.port = (server.address() as { port: number }).port
  await laptop.ssh('x@127.0.0.1', 'id')
  return said
}

/** Sockets that say something and then nothing. */
function crowd(t: Test, port: number, from: string, many: number, words: Buffer | string = ''): Socket[] {
  return Array.from({ length: many }, () => {
    const socket = connect({ port, host: '127.0.0.1', localAddress: from }).on('error', () => undefined)
    t.teardown(() => socket.destroy())
    if (words.length > 0) socket.write(words)
    return socket.resume()
  })
}

const connected = (sockets: readonly Socket[]): Promise<boolean> =>
  until(() => sockets.every(({ connecting, destroyed }) => !connecting || destroyed))

/** Both laptops log in, and what they ask for is answered. */
async function bothLogIn(t: Test, laptop: Laptop, what: string): Promise<void> {
  for (const from of ['127.0.0.1', '127.0.0.9']) {
    const began = performance.now()
    const { stderr, code } = await laptop.ssh('-b', from, 'x@127.0.0.1', 'id')
    t.equal(code, 77, `${what}, from ${from}: ${stderr}`)
    t.comment(`${what}, from ${from}: ${Math.round(performance.now() - began)} ms`)
  }
}

t.test('sockets that say nothing give way to a laptop, also to one of their own address', async (t) => {
  if (!tools(t)) return
  const laptop = new Laptop(t)
  const { port, transport } = await serving(t, [laptop], bounds)
  const held = crowd(t, port, '127.0.0.1', 100)
  await connected(held)
  await bothLogIn(t, laptop, 'a hundred of one address')
  held.push(...crowd(t, port, '127.0.0.2', 100))
  await connected(held)
  await bothLogIn(t, laptop, 'two hundred of two')
  t.ok(await until(() => transport.connections === 0), 'none of them is served')
  t.ok(await until(() => held.filter(({ destroyed }) => destroyed).length >= 140), 'most had to go')
})

t.test('sockets that say their line, byte by byte or at once, give way too', async (t) => {
  if (!tools(t)) return
  const laptop = new Laptop(t)
  const { port } = await serving(t, [laptop], bounds)
  const lines = crowd(t, port, '127.0.0.1', 60, 'SSH-2.0-OpenSSH_9.2p1\r\n')
  const slow = crowd(t, port, '127.0.0.2', 60)
  const trickle = setInterval(() => {
    for (const socket of slow) if (!socket.destroyed) socket.write('S')
  }, 100)
  t.teardown(() => clearInterval(trickle))
  await connected([...lines, ...slow])
  // Those that wait for more are let in, as long as half of the places are free.
  await sleep(1200)
  await bothLogIn(t, laptop, 'lines')
})

t.test('sockets that begin a login and stop give way to those who wait', async (t) => {
  if (!tools(t)) return
  const laptop = new Laptop(t)
  const words = await firstWords(t, laptop)
  const { port, transport } = await serving(t, [laptop], bounds)
  const held = crowd(t, port, '127.0.0.1', 60, words)
  held.push(...crowd(t, port, '127.0.0.2', 60, words))
  t.ok(await until(() => transport.connections === bounds.connections), 'all places are taken')
  await bothLogIn(t, laptop, 'begun logins')
})

t.test('a laptop that is logged in and asks for nothing gives way to those who wait', async (t) => {
  if (!tools(t)) return
  const laptop = new Laptop(t)
  const { transport } = await serving(t, [laptop], { ...bounds, connections: 2, perNetwork: 2 })
  const idle = [0, 1].map(() => laptop.ssh('-N', 'x@127.0.0.1'))
  t.ok(await until(() => transport.connections === 2))
  await bothLogIn(t, laptop, 'idle logins')
  t.equal((await Promise.race(idle)).code, 255)
})

t.test('one that waits in vain is sent away in the end', async (t) => {
  if (!tools(t)) return
  const laptop = new Laptop(t)
  const { transport } = await serving(t, [laptop], {
    ...{ connections: 1, patience: 300, silence: 60_000, silenceOfMany: 60_000 },
  })
  laptop.ssh('-N', 'x@127.0.0.1')
  t.ok(await until(() => transport.connections === 1))
  t.equal((await laptop.ssh('x@127.0.0.1', 'id')).code, 255)
})
