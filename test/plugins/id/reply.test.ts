import { once } from 'node:events'
import { connect } from 'node:net'
import t, { type Test } from 'tap'
import { definePlugin } from '../../../core/api.js'
import { boot } from '../../../core/testing.js'
import id from '../../../plugins/id/plugin.js'
import { Registration } from '../../../plugins/id/public.js'
import { methodCall, parseReply, type Struct } from '../../../sugaroid/index.js'
import { hangUp, type Laptop, laptop, listed, register, uidOf } from '../../support/id/registering-laptops.js'
import { temporaryDirectory } from '../../support/temporary-directory.js'

t.teardown(hangUp)

async function school(
  t: Test,
  settings: Record<string, string> = {},
  plugins: unknown[] = [],
  root?: string,
) {
  const house = await boot({ plugins: [id, ...plugins], settings, ...(root && { root }) })
  t.teardown(() => house.dispose())
  return { house, url: await house.url('id'), httpd: await house.url('httpd') }
}

const hosted = async (url: string, Host: string) => {
  const { jabberserver } = await register(url, laptop(1), { headers: { Host } })
  return jabberserver
}

t.test('a laptop is told the name by which it found the server, and never an empty one', async (t) => {
  const { url } = await school(t)
  t.equal(await hosted(url, 'escuela.test:8080'), 'escuela.test')
  t.equal(await hosted(url, '192.168.1.5:8080'), '192.168.1.5')
  t.equal(await hosted(url, 'schoolserver'), 'schoolserver')
  for (const junk of ['127.0.0.1:8080', 'localhost', '0.0.0.0', 'a b', '<x>'])
    t.equal(await hosted(url, junk), 'schoolserver', junk)
  const named = await school(t, { hostname: 'escuela42' })
  t.equal(await hosted(named.url, 'localhost'), 'escuela42')
  t.equal(await hosted(named.url, 'other.school:8080'), 'other.school', 'what it has just used')
  const set = await school(t, { 'jabber-server': 'jabber.school' })
  t.equal(await hosted(set.url, 'escuela.test:8080'), 'jabber.school')
})

t.test('a request without a Host header is answered too', async (t) => {
  const { url } = await school(t)
  t.equal((await registerWithoutHost(url, laptop(1))).jabberserver, 'schoolserver')
})

t.test('a plugin that gives an empty name takes nothing away', async (t) => {
  const careless = definePlugin({
    ...{ name: 'careless', api: 1, summary: 'Gives an empty name.' },
    start(ctx) {
      ctx.tap(Registration.enrol, () => ({ jabberserver: '' }))
    },
  })
  const { url } = await school(t, {}, [careless])
  t.equal(await hosted(url, 'escuela.test:8080'), 'escuela.test')
})

t.test('the stamp of a status does not change with the name by which a laptop asks', async (t) => {
  const { url, httpd } = await school(t)
  await register(url, laptop(1))
  const ask = async (path: string) =>
    (await (await fetch(`${httpd}${path}`)).json()) as Record<string, string>
  const { stamp } = await ask(`/client/status?uid=${uidOf(laptop(1))}`)
  t.match(stamp, /^[0-9a-f]{40}$/)
  t.match(await hosted(url, 'escuela.test:8080'), 'escuela.test')
  t.equal((await ask(`/client/status?uid=${uidOf(laptop(1))}`)).stamp, stamp)
})

/** As backup, which may not be able to run. */
const backup = (fails: boolean) =>
  definePlugin({
    ...{ name: 'backup', api: 1, summary: 'Tells where to back up.' },
    start(ctx) {
      if (fails) throw new Error('no disk')
      ctx.tap(Registration.enrol, () => ({ backupurl: 'u@school:current', backuppath: 'current' }))
    },
  })

t.test('who registered while backup did not run is listed until it registers again', async (t) => {
  const root = await temporaryDirectory(t)
  const [early, late] = [laptop(1), laptop(2)]
  const before = await school(t, {}, [backup(false)], root)
  t.match(await register(before.url, early), { backupurl: 'u@school:current' })
  await before.house.dispose()

  const { house, url } = await school(t, {}, [backup(true)], root)
  t.match(await register(url, late), { success: 'OK', backupurl: '' }, 'a new one has nothing to lose')
  t.match(await register(url, late), { success: 'OK', backupurl: '' }, 'and hears the same again')
  t.match(
    await register(url, early),
    { success: 'ERR', error: /try again later/ },
    'one that has an address keeps it',
  )
  const flags = async (of: typeof house) => {
    const known = await listed(of)
    return [early, late].map((one) => known.get(uidOf(one))?.flags)
  }
  t.strictSame(await flags(house), [[], ['no-backup-address']])
  t.match((await house.command(['id', 'list'])).err, /did not run.*choose "Register" on the laptop again/)
  t.match((await house.house.explain(late.serial)).id?.lines.join('\n'), /choose "Register"/)
  await house.dispose()

  const after = await school(t, {}, [backup(false)], root)
  t.strictSame(await flags(after.house), [[], ['no-backup-address']], 'it stays so when backup runs again')
  const { gather } = after.house.house.kernel.hooks
  const { report } = await import('../../../core/api.js')
  const told = async () =>
    (await gather.call(after.house.house.kernel.hooks, report, {}, undefined)) as object
  t.match(await told(), { id: { facts: { noBackupAddress: 1 }, lines: [/1 laptop registered while/] } })
  t.match(await register(after.url, late), { backupurl: 'u@school:current' })
  t.strictSame(await flags(after.house), [[], []])
  t.notOk('id' in (await told()))
})

t.test('a server without backup lists nobody for the want of it', async (t) => {
  const { house, url } = await school(t)
  t.match(await register(url, laptop(1)), { success: 'OK', backupurl: '' })
  t.strictSame((await listed(house)).get(uidOf(laptop(1)))?.flags, [])
})

/** HTTP/1.0, which need not say to whom it speaks. */
async function registerWithoutHost(url: string, { serial, nickname, uuid, pubkey }: Laptop): Promise<Struct> {
  const body = methodCall('register', [serial, nickname, uuid, pubkey])
  const socket = connect(Number(new URL(url).port), '127.0.0.1')
  socket.write(`POST / HTTP/1.0\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`)
  const pieces: Buffer[] = []
  socket.on('data', (piece: Buffer) => pieces.push(piece))
  await once(socket, 'close')
  const answer = Buffer.concat(pieces).toString()
  return parseReply(Buffer.from(answer.slice(answer.indexOf('\r\n\r\n') + 4))) as Struct
}
