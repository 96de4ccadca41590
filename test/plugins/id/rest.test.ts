import t, { type Test } from 'tap'
import { definePlugin } from '../../../core/api.js'
import { boot, type TestHouse } from '../../../core/testing.js'
import id from '../../../plugins/id/plugin.js'
import { type Enrolment, Registration } from '../../../plugins/id/public.js'
import {
  hangUp,
  type Laptop,
  laptop,
  listed,
  type Posting,
  post,
  register,
  uidOf,
} from '../../support/id/registering-laptops.js'

t.teardown(hangUp)

interface School {
  house: TestHouse
  /** What a plugin adds to replies from now on. */
  tell: (additions: Record<string, unknown>) => void
  send: (body: unknown, how?: Posting) => Promise<Record<string, unknown>>
  raw: (body: string | Buffer, how?: Posting) => Promise<{ status: number; said: Record<string, unknown> }>
  status: (query: string) => Promise<Record<string, unknown>>
}

async function school(t: Test, settings: Record<string, string> = {}): Promise<School> {
  let additions: Enrolment = {}
  const plugin = definePlugin({
    name: 'backup',
    api: 1,
    summary: 'adds to replies',
    start(ctx) {
      ctx.tap(Registration.enrol, () => additions)
    },
  })
  const house = await boot({ plugins: [id, plugin], settings })
  t.teardown(() => house.dispose())
  const base = await house.url('httpd')
  const raw: School['raw'] = async (body, how) => {
    const { status, type, body: text } = await post(`${base}/client/register`, body, how)
    t.match(type, /^application\/json/)
    return { status, said: JSON.parse(text) }
  }
  return {
    house,
    tell: (more) => {
      additions = more as Enrolment
    },
    raw,
    async send(body, how) {
      const { status, said } = await raw(JSON.stringify(body), how)
      t.equal(status, 200)
      return said
    },
    async status(query) {
      const { status, body } = await post(`${base}/client/status${query}`, '', { method: 'GET' })
      t.equal(status, 200)
      return JSON.parse(body)
    },
  }
}

const form = ({ serial, nickname, uuid, pubkey }: Laptop) => ({
  nickname,
  machine_sn: serial,
  machine_uuid: uuid,
  pubkey: `ssh-ed25519 ${pubkey} owner@xo`,
})

t.test('a laptop registers over JSON, and hears the same each time and over XML-RPC', async (t) => {
  const { house, send, tell } = await school(t, { 'jabber-server': 'jabber.school' })
  tell({ backupurl: 'ana@schoolserver:backup', config: { 'collect-url': 'x' } })
  const ana = laptop(1, { nickname: 'Ana 🦉 <b>' })
  const reply = {
    success: 'OK',
    backupurl: 'ana@schoolserver:backup',
    backuppath: '',
    jabberserver: 'jabber.school',
    config: { 'collect-url': 'x' },
  }
  t.strictSame(await send(form(ana)), { ...reply, uid: uidOf(ana) })
  t.strictSame(
    await send({ ...form(ana), pubkey: ana.pubkey }),
    { ...reply, uid: uidOf(ana) },
    'the blob alone',
  )
  const { machine_sn: serial, ...rest } = form(ana)
  t.strictSame(
    await send({ ...rest, serial }),
    { ...reply, uid: uidOf(ana) },
    'serial in place of machine_sn',
  )
  t.strictSame(await register(await house.url('id'), ana), reply)
  const [learner, ...others] = (await listed(house)).values()
  t.strictSame(others, [])
  t.match(learner, { uid: uidOf(ana), nickname: ana.nickname, serials: [ana.serial], flags: [] })
})

t.test('the status of a learner is found by uid and uuid, and tells when to register again', async (t) => {
  const { send, status, tell } = await school(t, { 'jabber-server': 'jabber.school' })
  tell({ backupurl: 'ana@schoolserver:backup' })
  const ana = laptop(1)
  t.strictSame(await status(`?uid=${uidOf(ana)}`), { success: 'OK', registered: false })
  t.strictSame(await status(`?uuid=${ana.uuid}`), { success: 'OK', registered: false })
  await send(form(ana))
  const known = await status(`?uid=${uidOf(ana)}`)
  t.match(known, {
    success: 'OK',
    registered: true,
    'jabber-url': 'jabber.school',
    'backup-url': 'ana@schoolserver:backup',
    stamp: /^[0-9a-f]{40}$/,
  })
  t.strictSame(await status(`?uid=${uidOf(ana)}`), known, 'the stamp stays')
  for (const uuid of [ana.uuid, ana.uuid.toUpperCase()])
    t.strictSame(await status(`?uuid=${uuid}`), known, uuid)
  await send(form(ana))
  await send({ ...form(ana), nickname: 'Ana the Great' })
  await send(form(laptop(2)))
  t.strictSame(await status(`?uid=${uidOf(ana)}`), known, 'also when she comes again, and others come')
  t.not((await status(`?uid=${uidOf(laptop(2))}`)).stamp, known.stamp, 'another learner has another')

  const stamps = new Set([known.stamp])
  const changes = [
    { backupurl: 'ana@elsewhere:backup' },
    { backupurl: 'ana@elsewhere:backup', backuppath: '/x' },
    { backupurl: 'ana@elsewhere:backup', config: { a: 'b' } },
    { backupurl: 'ana@elsewhere:backup', config: { a: 'c' } },
    { jabberserver: 'other.school' },
    {},
  ]
  for (const change of changes) {
    tell(change)
    stamps.add((await status(`?uid=${uidOf(ana)}`)).stamp)
  }
  t.equal(stamps.size, changes.length + 1, 'every change of the reply changes the stamp')
  tell({ backupurl: 'ana@schoolserver:backup' })
  t.strictSame(await status(`?uid=${uidOf(ana)}`), known, 'and it comes back with the old reply')
})

t.test('the status of a joined laptop is that of its learner', async (t) => {
  const { house, send, status } = await school(t)
  const [old, replaced] = [laptop(1), laptop(2)]
  await send(form(old))
  await send(form(replaced))
  const before = await status(`?uid=${uidOf(old)}`)
  t.not((await status(`?uid=${uidOf(replaced)}`)).stamp, before.stamp)
  await house.command(['id', 'alias'], { args: { new: uidOf(replaced), old: uidOf(old) } })
  for (const query of [`?uid=${uidOf(replaced)}`, `?uuid=${replaced.uuid}`, `?uuid=${old.uuid}`])
    t.strictSame(await status(query), before, query)
  t.match(await send(form(replaced)), { success: 'OK', uid: uidOf(replaced) }, 'it still goes by its own uid')
})

t.test('a uuid of several learners or of nobody leads to nobody', async (t) => {
  const { send, status } = await school(t)
  const none = '00000000-0000-0000-0000-000000000000'
  await send(form(laptop(1, { uuid: none })))
  t.strictSame(await status(`?uuid=${none}`), { success: 'OK', registered: false })
  await send(form(laptop(2)))
  await send(form(laptop(3, { uuid: laptop(2).uuid })))
  t.strictSame(await status(`?uuid=${laptop(2).uuid}`), { success: 'OK', registered: false })
})

t.test('a question about nobody in particular is refused', async (t) => {
  const { send, status } = await school(t)
  const ana = laptop(1)
  await send(form(ana))
  const uid = uidOf(ana)
  const queries = [
    '',
    '?',
    '?uid=',
    '?uuid=',
    `?uid=${uid.slice(0, 39)}`,
    `?uid=${uid}%0a`,
    `?uid=${uid}&uid=${uid}`,
    '?uid=__proto__',
    '?uid[$gt]=',
    '?uid=..%2f..%2fetc%2fpasswd',
    '?uuid=..%2f..%2fetc%2fpasswd',
    `?uuid=${ana.serial}`,
    `?uuid=${uid.slice(0, 36)}`,
    `?uuid=${'-'.repeat(36)}`,
    `?serial=${ana.serial}`,
    '?constructor=x',
    `?uuid=${'%00'.repeat(36)}`,
  ]
  for (const query of queries)
    t.match(await status(query), { success: 'ERR', error: /ask with \?uid=/ }, query)
  t.match(await status(`?uid=x&uuid=${ana.uuid}`), { registered: true }, 'one of both is enough')
})

t.test('what is wrong with a registration is said in JSON', async (t) => {
  const { house, send, raw } = await school(t)
  const good = form(laptop(1))
  const wrong: [what: string, body: unknown, error: RegExp][] = [
    ['nothing', {}, /public key must be text/],
    ['no serial', { ...good, machine_sn: undefined }, /serial number must be text/],
    ['no uuid', { ...good, machine_uuid: undefined }, /uuid must be text/],
    ['no nickname', { ...good, nickname: undefined }, /nickname must be text/],
    ['null for a nickname', { ...good, nickname: null }, /nickname must be text/],
    ['a number for a serial', { ...good, machine_sn: 12 }, /serial number must be text/],
    ['a list for a key', { ...good, pubkey: [good.pubkey] }, /public key must be text/],
    ['an object that looks like text', { ...good, pubkey: { length: 5, toString: 'x' } }, /must be text/],
    ['another serial number', { ...good, machine_sn: '../../x' }, /serial number must be/],
    ['two keys', { ...good, pubkey: `${good.pubkey}\n${good.pubkey}` }, /one line/],
    ['half a character', { ...good, nickname: 'Ana \ud83e' }, /no text/],
    ['a NUL', { ...good, nickname: 'A\0na' }, /no text/],
  ]
  for (const [what, body, error] of wrong) t.match(await send(body), { success: 'ERR', error }, what)
  for (const name of ['__proto__', 'constructor', 'toString'])
    t.match(
      await raw(`{"${name}": ${JSON.stringify(good)}}`),
      { status: 200, said: { success: 'ERR' } },
      name,
    )
  t.equal(({} as Record<string, unknown>).nickname, undefined)
  t.equal((await listed(house)).size, 0)
  const members = JSON.stringify(good).replace('{', '{"__proto__": {"nickname": 5}, "extra": {"deep": [1]}, ')
  t.match(
    await raw(members),
    { status: 200, said: { success: 'OK' } },
    'members that nobody asked for are passed over',
  )
  t.match((await listed(house)).get(uidOf(laptop(1))), { nickname: good.nickname })
})

t.test('what is no JSON object is refused, and so is what is too large or not UTF-8', async (t) => {
  const { raw } = await school(t)
  const good = JSON.stringify(form(laptop(1)))
  const none = [
    '',
    ' ',
    '{',
    good.slice(0, -1),
    `${good}x`,
    "{'a': 1}",
    '{"a": NaN}',
    '[',
    '"',
    `\ufeff\ufeff${good}`,
  ]
  for (const body of none)
    t.match(
      await raw(body),
      { status: 400, said: { success: 'ERR', error: 'the body is not JSON' } },
      body.slice(0, 20),
    )
  for (const body of [
    '[]',
    `[${good}]`,
    'null',
    '5',
    '"text"',
    'true',
    `${'['.repeat(5000)}${']'.repeat(5000)}`,
  ])
    t.match(
      await raw(body),
      { status: 400, said: { success: 'ERR', error: /not a JSON object/ } },
      body.slice(0, 20),
    )
  const latin = Buffer.from(good.replace('Learner', 'Mar\u00eda'), 'latin1')
  t.match(await raw(latin), { status: 400, said: { success: 'ERR', error: 'the body is not UTF-8' } })
  const wtf8 = Buffer.concat([Buffer.from('{"nickname": "'), Buffer.from('eda080', 'hex'), Buffer.from('"}')])
  t.match(await raw(wtf8), { status: 400, said: { error: 'the body is not UTF-8' } })
  const large = { ...form(laptop(1)), more: 'x'.repeat(64 << 10) }
  t.match(await raw(JSON.stringify(large)), {
    status: 413,
    said: { success: 'ERR', error: /larger than 16384/ },
  })
  const headers = { 'Content-Encoding': 'gzip' }
  t.match(await raw(good, { headers }), { status: 400, said: { success: 'ERR', error: /encoding gzip/ } })
  t.match(await raw(good), { status: 200, said: { success: 'OK' } }, 'the next one is served')
})

t.test('over JSON as over XML-RPC, strangers stay out of a closed school', async (t) => {
  const { house, send } = await school(t, { registration: 'closed' })
  t.match(await send(form(laptop(1))), { success: 'ERR', error: 'registration is closed; ask your teacher' })
  t.equal((await listed(house)).size, 0)
})
