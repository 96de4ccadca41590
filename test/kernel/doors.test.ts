import { spawnSync } from 'node:child_process'
import { type AddressInfo, connect, createServer } from 'node:net'
import { networkInterfaces } from 'node:os'
import t from 'tap'
import { port } from '../../core/api.js'
import type { TestHouse } from '../../core/testing.js'
import { booted, plugin, states, unstarted } from '../support/core/boot-plugins.js'
import { lacks, needs } from '../support/needs.js'

const ssh = port({ help: 'Port of a service of its own.', default: 0 })

const hasIpv6 = Object.values(networkInterfaces()).some((all) =>
  all?.some(({ address }) => address === '::1'),
)

/** A plugin with a TCP server that greets whoever comes. */
const greeting = (name: string, reach?: { ipv6: boolean }) => {
  const server = createServer((socket) => void socket.end(`hello from ${name}`))
  const made = plugin(name, {
    options: { [`${name}-ssh-port`]: ssh },
    start(ctx) {
      ctx.listen(`${name}-ssh-port`, server, reach)
    },
  })
  return { server, plugin: made }
}

const heard = (port: number, host = '127.0.0.1'): Promise<string> =>
  new Promise((resolve, reject) => {
    let text = ''
    const socket = connect(port, host)
    socket.on('data', (bytes) => {
      text += String(bytes)
    })
    socket.once('end', () => resolve(text)).once('error', reject)
  })

t.test(
  "a plugin's own server is bound with the others, named in the status, and closed at the end",
  async (t) => {
    const backup = greeting('backup')
    const house = await booted(t, [backup.plugin], { 'backup-ssh-port': '0' })
    const { listeners } = await house.status()
    const found = listeners.find(({ name }) => name === 'backup-ssh')
    t.match(found, { host: '127.0.0.1' })
    t.ok((found?.port ?? 0) > 0, 'with the port that it really got')
    t.equal(await heard(found?.port ?? 0), 'hello from backup')
    await house.house.stop()
    t.equal(backup.server.listening, false)
  },
)

t.test('a busy port fails the plugin that asked for it, and the others serve', async (t) => {
  const taken = createServer()
  await new Promise<void>((resolve) => taken.listen(0, '127.0.0.1', resolve))
  t.teardown(() => void taken.close())
  const { port: busy } = taken.address() as { port: number }
  const [backup, other] = [greeting('backup'), greeting('other')]
  const house = await booted(t, [backup.plugin, other.plugin], { 'backup-ssh-port': String(busy) })
  t.same(await states(house), { backup: 'failed PORT_BUSY', other: 'running' })
  t.same(
    (await house.status()).listeners.map(({ name }) => name),
    ['httpd', 'other-ssh'],
  )
})

/** Where the ssh of a plugin listens. */
async function placeOf(
  house: Pick<TestHouse, 'status'>,
  name: string,
): Promise<{ host: string; port: number }> {
  const found = (await house.status()).listeners.find((listener) => listener.name === `${name}-ssh`)
  return { host: found?.host ?? 'nowhere', port: found?.port ?? 0 }
}

t.test('a server that asks for it is reached over IPv4 and IPv6 on one port', async (t) => {
  if (!hasIpv6) return lacks(t, 'IPv6', 'this machine has no IPv6')
  const [both, old] = [greeting('both', { ipv6: true }), greeting('old')]
  const house = await booted(t, [both.plugin, old.plugin], { host: '0.0.0.0' })
  const { host, port } = await placeOf(house, 'both')
  t.equal(host, '::')
  t.equal(await heard(port, '127.0.0.1'), 'hello from both')
  t.equal(await heard(port, '::1'), 'hello from both')

  const other = await placeOf(house, 'old')
  t.equal(other.host, '0.0.0.0', 'and one that does not ask stays where it was')
  await t.rejects(heard(other.port, '::1'), { code: 'ECONNREFUSED' })
})

t.test('a host that somebody chose stays as it is', async (t) => {
  const both = greeting('both', { ipv6: true })
  const house = await booted(t, [both.plugin], { host: '127.0.0.1' })
  const { host, port } = await placeOf(house, 'both')
  t.equal(host, '127.0.0.1')
  t.equal(await heard(port), 'hello from both')
  await t.rejects(heard(port, '::1'), { code: hasIpv6 ? 'ECONNREFUSED' : /./ })
})

t.test('a port that is taken over IPv4 is busy for a server of both, too', async (t) => {
  const taken = createServer()
  await new Promise<void>((resolve) => taken.listen(0, '0.0.0.0', resolve))
  t.teardown(() => void taken.close())
  const { port: busy } = taken.address() as AddressInfo
  const both = greeting('both', { ipv6: true })
  const settings = { host: '0.0.0.0', 'both-ssh-port': String(busy) }
  const house = await booted(t, [both.plugin, greeting('other').plugin], settings)
  t.same(await states(house), { both: 'failed PORT_BUSY', other: 'running' })
})

t.test('on a machine without IPv6 a server of both is there for IPv4', async (t) => {
  if (!needs(t, 'strace', 'strace')) return
  const code = `
    import { createServer } from 'node:net'
    import { bind, hostOf } from ${JSON.stringify(new URL('../../core/http/bind.js', import.meta.url).href)}
    const server = createServer()
    await bind(server, undefined, 0, 'test-port = 0')
    console.log(hostOf(server))
    server.close()`
  // What the system says without the module, and without an address: of the first call, which is IPv6's.
  for (const fault of ['socket:error=EAFNOSUPPORT', 'bind:error=EADDRNOTAVAIL']) {
    const inject = ['-f', '-qq', '-o', '/dev/null', '-e', 'trace=socket,bind', '-e', `inject=${fault}:when=1`]
    const node = [process.execPath, '--input-type=module', '-e', code]
    const { stdout, stderr } = spawnSync('strace', [...inject, ...node], {
      encoding: 'utf8',
      timeout: 30_000,
    })
    t.equal(stdout, '0.0.0.0\n', `${fault} ${stderr}`)
  }
})

t.test('a house with its doors shut binds nothing', async (t) => {
  const backup = greeting('backup')
  const { house } = await unstarted(t, [backup.plugin])
  await house.start({ listen: false })
  t.equal(backup.server.listening, false)
  await house.stop()
})
