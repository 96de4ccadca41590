import { connect, createServer } from 'node:net'
import t from 'tap'
import { port } from '../../core/api.js'
import { booted, plugin, states, unstarted } from './houses.js'

const ssh = port({ help: 'Port of a service of its own.', default: 0 })

/** A plugin with a TCP server that greets whoever comes. */
const greeting = (name: string, listen = true) => {
  const server = createServer((socket) => void socket.end(`hello from ${name}`))
  const made = plugin(name, {
    options: { [`${name}-ssh-port`]: ssh },
    start(ctx) {
      if (listen) ctx.listen(`${name}-ssh-port`, server)
    },
  })
  return { server, plugin: made }
}

const heard = (address: number): Promise<string> =>
  new Promise((resolve, reject) => {
    let text = ''
    const socket = connect(address, '127.0.0.1')
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

t.test('a house with its doors shut binds nothing', async (t) => {
  const backup = greeting('backup')
  const { house } = await unstarted(t, [backup.plugin])
  await house.start({ listen: false })
  t.equal(backup.server.listening, false)
  await house.stop()
})
