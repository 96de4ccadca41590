import { readdir } from 'node:fs/promises'
import fc from 'fast-check'
import t, { type Test } from 'tap'
import { type Context, definePlugin, type Plugin, printable, RequestError } from '../../../core/api.js'
import type { CommandReply } from '../../../core/control/frames.js'
import { boot, type TestHouse } from '../../../core/testing.js'
import { Allowance } from '../../../plugins/id/allowance.js'
import { collections, type Shelves } from '../../../plugins/id/documents.js'
import { parsePublicKey } from '../../../plugins/id/key.js'
import id from '../../../plugins/id/plugin.js'
import { type Enrolment, type Learner, Registration, Users } from '../../../plugins/id/public.js'
import { Registry } from '../../../plugins/id/registry.js'
import { Fault, parseReply, type Struct } from '../../../sugaroid/index.js'
import { startServer } from '../../support/core/server-process.js'
import {
  hangUp,
  type Laptop,
  laptop,
  listed,
  post,
  pythonClientOf,
  register,
  uidOf,
} from '../../support/id/registering-laptops.js'
import { needs } from '../../support/needs.js'
import { runs } from '../../support/rounds.js'

t.setTimeout(300_000)

t.teardown(hangUp)

const zeroUuid = '00000000-0000-0000-0000-000000000000'

interface School {
  house: TestHouse
  url: string
  /** Registers over XML-RPC. */
  enrol: (who: Laptop, from?: string) => Promise<Struct>
  /** Who is found by a word, as an operator asks. */
  found: (word: string) => Promise<string[]>
  show: (word: string) => Promise<Story>
  id: (command: string, args?: Record<string, string>, options?: Record<string, string>) => Promise<string>
}

interface Story {
  uid: string
  flags: string[]
  laptops: { serial: string; claims: { uid: string }[] }[]
  disputes: { serial: string; owner: string }[]
}

async function school(
  t: Test,
  settings: Record<string, string> = {},
  plugins: readonly Plugin[] = [],
): Promise<School> {
  const house = await boot({ plugins: [id, ...plugins], settings })
  t.teardown(() => house.dispose())
  const url = await house.url('id')
  return {
    house,
    url,
    enrol: (who, from) => register(url, who, from === undefined ? {} : { from }),
    async found(word) {
      const { id: chapter } = await house.house.explain(word)
      return chapter === undefined ? [] : [String(chapter.facts.uid)]
    },
    async show(word) {
      const { ended, out } = await house.command(['id', 'show'], { args: { user: word }, json: true })
      if (ended.exit !== 0) throw new Error(messageOf(ended))
      return JSON.parse(out)
    },
    async id(command, args = {}, options = {}) {
      const { ended, out } = await house.command(['id', command], { args, options })
      if (ended.exit !== 0) throw new Error(messageOf(ended))
      return out
    },
  }
}

const messageOf = (ended: CommandReply): string => ('message' in ended && ended.message) || 'it failed'

/** A plugin that only taps. */
const tapping = (
  name: string,
  start: (ctx: { tap: Context<never, never, never, never, never>['tap'] }) => void,
): Plugin => definePlugin({ name, api: 1, summary: `the plugin ${name}`, start })

const enrolling = (name: string, additions: Record<string, unknown>): Plugin =>
  tapping(name, (ctx) => {
    ctx.tap(Registration.enrol, () => additions as Enrolment)
  })

const welcome = { success: 'OK', jabberserver: 'schoolserver', backupurl: '', backuppath: '' }

t.test("Python's own client registers, and hears the same each time it asks", async (t) => {
  if (!needs(t, 'python3', 'python3')) return
  const plugin = enrolling('backup', { backupurl: 'ana@schoolserver:datastore-current' })
  const { house, url } = await school(t, { 'jabber-server': 'jabber.school' }, [plugin])
  const call = await pythonClientOf(t)
  const { serial, nickname, uuid, pubkey } = laptop(1, { nickname: 'Ana' })
  const expected = {
    reply: {
      success: 'OK',
      jabberserver: 'jabber.school',
      backupurl: 'ana@schoolserver:datastore-current',
      backuppath: '',
    },
  }
  for (const path of ['/', '/RPC2', '/']) {
    const heard = await call(`${url}${path}`, 'register', [serial, nickname, uuid, pubkey])
    t.strictSame(heard, expected, path)
  }
  const [learner, ...others] = (await listed(house)).values()
  t.strictSame(others, [], 'one learner')
  t.match(learner, { uid: uidOf({ pubkey }), nickname, serials: [serial], uuids: [uuid], flags: [] })
  t.equal(learner?.keyType, 'ssh-ed25519')
})

t.test('what is wrong with a registration is told to the child, never as a fault', async (t) => {
  if (!needs(t, 'python3', 'python3')) return
  const { house, url } = await school(t)
  const call = await pythonClientOf(t)
  const { serial, nickname, uuid, pubkey } = laptop(1)
  const wrong: [what: string, args: unknown[], error: RegExp][] = [
    ['no argument', [], /takes a serial, a nickname, a uuid and a public key/],
    ['three arguments', [serial, nickname, uuid], /takes a serial/],
    ['five arguments', [serial, nickname, uuid, pubkey, pubkey], /takes a serial/],
    ['a number for a serial', [12, nickname, uuid, pubkey], /serial number must be text/],
    ['a number for a nickname', [serial, 12.5, uuid, pubkey], /nickname must be text/],
    ['yes for a uuid', [serial, nickname, true, pubkey], /uuid must be text/],
    ['a list for a key', [serial, nickname, uuid, [pubkey]], /public key must be text/],
    ['a struct for everything', [{ serial, nickname, uuid, pubkey }, {}, {}, {}], /must be text/],
    [
      'a struct with strange members',
      [serial, nickname, uuid, { ['__proto__']: 'x', constructor: 'y' }],
      /text/,
    ],
    ['a broken key', [serial, nickname, uuid, 'not a key'], /public key: it is not base64/],
    ['half a key', [serial, nickname, uuid, pubkey.slice(0, 40)], /public key: it is cut off/],
    ['an empty key', [serial, nickname, uuid, ''], /public key: it is empty/],
    ['an empty serial', ['', nickname, uuid, pubkey], /serial number must be 1 to 32/],
    ['an empty uuid', [serial, nickname, '', pubkey], /uuid must be 32 hex digits/],
    ['a nickname with a form feed', [serial, 'A\fna', uuid, pubkey], /no text/],
    ['a nickname of 10 KB', [serial, 'ñ'.repeat(5 << 10), uuid, pubkey], /longer than 1024 bytes/],
  ]
  for (const [what, args, error] of wrong) {
    const { reply } = await call(`${url}/`, 'register', args)
    t.match(reply, { success: 'ERR', error }, what)
  }
  t.equal((await listed(house)).size, 0, 'nobody is registered')
})

t.test('serials and uuids that could mean something in a path are refused', async (t) => {
  const { house, enrol } = await school(t)
  const before = await readdir(house.root, { recursive: true })
  const words = [
    '../../x',
    '..',
    '.',
    '/etc/passwd',
    '%2e%2e%2f',
    'SHC00000000\n',
    '\nSHC00000000',
    ' SHC00000000',
    'SHC 0000000',
    'SHC0000000.',
    'SHC\u0661\u0662\u0663\u0664\u0665\u0666\u0667\u0668',
    'ＳＨＣ００００００００',
    'SHCı0000000',
    'ſHC00000000',
    'SHß00000000',
    '-rf',
    '_SHC',
    'S\u0000',
    '$(id)',
    "SHC'--",
    '__proto__',
    'A'.repeat(33),
    '1'.repeat(300),
    '',
  ]
  for (const [number, word] of words.entries()) {
    const { success, error } = await enrol(laptop(number, { serial: word }))
    t.match({ success, error }, { success: 'ERR', error: /serial/ }, printable(word).slice(0, 60))
  }
  const { uuid } = laptop(1)
  const uuids = [
    ...words,
    `${uuid}\n`,
    ` ${uuid}`,
    `{${uuid}}`,
    uuid.replaceAll('-', ''),
    uuid.replace('0', 'g'),
    uuid.replace('0', '０'),
    uuid.replaceAll('-', '/'),
  ]
  for (const [number, word] of uuids.entries()) {
    const { success, error } = await enrol(laptop(number, { uuid: word }))
    t.match({ success, error }, { success: 'ERR', error: /uuid/ }, printable(word).slice(0, 60))
  }
  t.equal((await listed(house)).size, 0)
  t.strictSame(await readdir(house.root, { recursive: true }), before, 'no file came of them')
})

t.test('what is no call of ours is answered with a fault or a refusal, and the next is served', async (t) => {
  const { house, url, enrol } = await school(t)
  if (needs(t, 'python3', 'python3')) {
    const call = await pythonClientOf(t)
    for (const method of ['unregister', 'system.listMethods', 'constructor', '__proto__', 'NotFound']) {
      const { fault } = await call(`${url}/`, method, [])
      t.equal(fault?.[0], -32601, method)
      t.match(fault?.[1], `there is no method ${method}`)
    }
    t.match(await call(`${url}/RPC3`, 'register', []), { broken: /404/ })
  }
  const faulty = ['', 'register', '<methodCall></methodCall>', '<a/>', '{"method": "register"}', '\ud83e']
  for (const body of faulty) {
    const answer = await post(`${url}/`, body)
    t.equal(answer.status, 200)
    t.match(answer, { type: /^text\/xml/, body: /<fault>.*-32700/ }, JSON.stringify(body))
  }
  for (const method of ['GET', 'PUT', 'DELETE', 'PATCH'])
    t.match(await post(`${url}/`, '', { method }), { status: 405, body: /"success":"ERR"/ }, method)
  t.equal((await post(`${url}/nothing`, '')).status, 404)
  t.match(await enrol(laptop(1)), welcome)
  t.equal((await listed(house)).size, 1)
})

t.test('a nickname is any text, and kept to the letter', async (t) => {
  const { house, enrol } = await school(t)
  const names = [
    '',
    ' ',
    '  Ana  ',
    'María José Ñandú',
    'Ἀλέξανδρος',
    'राधा',
    'ဇော်ဇော်',
    'ሰላም',
    '李小龍',
    'محمد علي',
    '\u202eanA',
    '\u2066Ana\u2069',
    '👩🏽‍🚀🦉',
    'e\u0301 é',
    '<b>Ana</b> & "Bob" \'x\'',
    '&amp;lt;',
    ']]>',
    ']]>]]><![CDATA[',
    '</string></value></param>',
    '=cmd|"/c calc"!A1',
    "'; DROP TABLE users; --",
    '../../etc/passwd',
    '__proto__',
    'null',
    'Ana\tthe\nGreat\r\n',
    '\u0085\u2028\u2029',
    '\u009b31m',
    '\ufeffAna',
    '\ufffd',
    'x'.repeat(1024),
    '🦉'.repeat(256),
  ]
  for (const [number, nickname] of names.entries())
    t.match(await enrol(laptop(number, { nickname })), welcome, printable(nickname).slice(0, 60))
  const known = await listed(house)
  for (const [number, nickname] of names.entries())
    t.equal(known.get(uidOf(laptop(number)))?.nickname, nickname, printable(nickname).slice(0, 60))
  const changed = await enrol(laptop(0, { nickname: 'Ana, older' }))
  t.match(changed, welcome)
  t.equal((await listed(house)).get(uidOf(laptop(0)))?.nickname, 'Ana, older', 'a new name is taken over')
})

t.test('any nickname is stored exactly or refused', async (t) => {
  const { house, enrol } = await school(t)
  const names = fc.sample(
    fc.oneof(
      fc.string({ unit: 'binary', maxLength: 60 }),
      fc.string({ unit: 'grapheme', maxLength: 30 }),
      fc.string({
        unit: fc.constantFrom('&', '<', ']]>', ';', '#', 'x1f', '\r', '\n', '"', '\ufffe'),
        maxLength: 12,
      }),
      fc.string({ unit: 'grapheme', minLength: 150, maxLength: 400 }),
    ),
    runs(600),
  )
  const refused = new Map<string, string>()
  for (const [number, nickname] of names.entries()) {
    const reply = await enrol(laptop(number, { nickname }))
    if (reply.success === 'ERR') refused.set(uidOf(laptop(number)), nickname)
  }
  const known = await listed(house)
  t.equal(known.size + refused.size, names.length)
  t.ok(refused.size > 0 && known.size > names.length / 6, `${known.size} kept, ${refused.size} refused`)
  for (const [number, nickname] of names.entries()) {
    const uid = uidOf(laptop(number))
    if (!refused.has(uid) && known.get(uid)?.nickname !== nickname)
      t.fail(`not kept: ${JSON.stringify(nickname)}`)
  }
  const sound = [...refused.values()].filter(
    (name) => Buffer.byteLength(name) <= 1024 && !/[\0-\x08\x0b\x0c\x0e-\x1f\x7f\ufffe\uffff]/.test(name),
  )
  t.strictSame(sound, [], 'only what is too long or no text was refused')
})

t.test('a serial in small letters is the same laptop', async (t) => {
  const { house, enrol, found } = await school(t)
  const ana = laptop(0xabc)
  await enrol({ ...ana, serial: ana.serial.toLowerCase() })
  await enrol(ana)
  const [learner] = (await listed(house)).values()
  t.match(learner, { serials: [ana.serial], flags: [] })
  t.strictSame(learner?.serials, [ana.serial], 'kept once')
  for (const word of [ana.serial, ana.serial.toLowerCase(), ana.uuid, ana.uuid.toUpperCase(), uidOf(ana)])
    t.strictSame(await found(word), [uidOf(ana)], word)
})

t.test('a thousand laptops without serial and uuid are a thousand learners, none in dispute', async (t) => {
  const { house, enrol, found } = await school(t)
  const laptops = Array.from({ length: 1000 }, (_, n) => laptop(n, { serial: 'SHF00000000', uuid: zeroUuid }))
  const replies = await Promise.all(laptops.map((one) => enrol(one)))
  t.equal(replies.filter(({ success }) => success === 'OK').length, 1000)
  const known = await listed(house)
  t.equal(known.size, 1000)
  t.strictSame(
    [...known.values()].filter(({ flags }) => flags.length > 0),
    [],
  )
  t.strictSame(await found('SHF00000000'), [], 'the serial of nobody leads to nobody')
  t.strictSame(await found(zeroUuid), [], 'and so does the uuid')
})

t.test('the same laptop a thousand times at once is one learner, and all get the same reply', async (t) => {
  const heard: string[] = []
  const listening = tapping('listening', (ctx) => {
    ctx.tap(Registration.registered, ({ uid }) => void heard.push(uid))
  })
  const { house, enrol } = await school(t, {}, [listening])
  const ana = laptop(1)
  const replies = await Promise.all(Array.from({ length: 1000 }, () => enrol(ana)))
  t.strictSame(new Set(replies.map((reply) => JSON.stringify(reply))).size, 1)
  t.match(replies[0], welcome)
  const known = await listed(house)
  t.strictSame([...known.keys()], [uidOf(ana)])
  t.match(known.get(uidOf(ana)), { serials: [ana.serial], flags: [] })
  await house.dispose()
  t.strictSame(heard, [uidOf(ana)], 'the news is told once')
})

t.test('a key that changes a thousand times at once loses nothing and harms nobody', async (t) => {
  const { house, enrol } = await school(t)
  const replies = await Promise.all(
    Array.from({ length: 200 }, (_, n) => enrol({ ...laptop(n % 8), pubkey: laptop(1).pubkey })),
  )
  t.equal(replies.filter(({ success }) => success === 'OK').length, 200)
  const learner = (await listed(house)).get(uidOf(laptop(1)))
  t.strictSame(
    [...(learner?.serials ?? [])].sort(),
    Array.from({ length: 8 }, (_, n) => laptop(n).serial),
  )
  t.strictSame(learner?.flags, ['shared-key'])
})

t.test('two laptops with one serial: both are served, and the operator is told', async (t) => {
  const { house, enrol, found, show, id } = await school(t)
  const [old, other] = [laptop(1), laptop(2, { serial: laptop(1).serial })]
  const [first, second] = [uidOf(old), uidOf(other)]
  t.match(await enrol(old), welcome)
  t.match(await enrol(other), welcome)
  t.match(await enrol(other), welcome, 'the second one again')
  const { serial } = old

  const known = await listed(house)
  for (const uid of [first, second]) t.strictSame(known.get(uid)?.flags, ['serial-conflict'])
  t.strictSame(await found(serial), [first], 'the serial leads to the first')
  const story = await show(first)
  t.strictSame(
    story.laptops.map(({ serial, claims }) => [serial, claims.map(({ uid }) => uid)]),
    [[serial, [second]]],
    'the dispute is noted once with the first',
  )
  t.match(await show(second), { disputes: [{ serial, owner: first }], laptops: [] })
  const said = await id('show', { user: second })
  t.match(said, `id alias ${second} ${first}`, 'what to type is said')

  t.match(await id('alias', { new: second, old: serial }), 'is now the same child')
  const joined = await listed(house)
  t.strictSame(joined.get(first)?.flags, [])
  t.strictSame(joined.get(second)?.flags, ['alias'])
  for (const word of [serial, first, second, other.uuid]) t.strictSame(await found(word), [first], word)
  t.match(await enrol(other), welcome)
  t.strictSame((await listed(house)).get(first)?.flags, [], 'the dispute does not come back')
  await t.rejects(id('alias', { new: second, old: first }), /same learner already/)

  t.match(await id('alias', { new: second }, { undo: 'true' }), 'of its own again')
  t.strictSame(await found(second), [second])
  t.strictSame(await found(serial), [first], 'the serial stays with the first')
  await t.rejects(id('alias', { new: second }, { undo: 'true' }), /joined to nobody/)
  await enrol(other)
  t.strictSame(
    (await listed(house)).get(second)?.flags,
    ['serial-conflict'],
    'from now on it is disputed again',
  )
})

t.test('who knows the key of a child cannot take the serial from it', async (t) => {
  const { house, enrol, found } = await school(t)
  const child = laptop(1)
  await enrol(child)
  for (let n = 100; n < 140; n += 1) await enrol(laptop(n, { pubkey: child.pubkey }))
  const thief = laptop(2, { serial: child.serial })
  t.match(await enrol(thief), welcome)
  t.strictSame(await found(child.serial), [uidOf(child)])
  t.strictSame(
    (await listed(house)).get(uidOf(thief))?.flags,
    ['serial-conflict'],
    'and the operator hears of it',
  )
})

t.test("a serial that looks like the beginning of another's uid is not taken for that learner", async (t) => {
  const { house, enrol, id } = await school(t)
  const [child, thief] = [laptop(1), laptop(2, { serial: uidOf(laptop(1)).slice(0, 12) })]
  for (const one of [thief, child]) t.match(await enrol(one), welcome)
  const short = uidOf(child).slice(0, 12)
  await t.rejects(id('show', { user: short }), /may be any of/)
  await t.rejects(id('remove', { user: short }), /may be any of/)
  t.equal((await listed(house)).size, 2)
  const story = await house.house.explain(short)
  t.match(
    story,
    { id: { facts: { several: [{ uid: String }, { uid: String }] } } },
    'explain names both, and no secret',
  )
})

t.test(
  'a serial whose first owner is removed goes to whoever came with it next, not to anybody',
  async (t) => {
    const { house, enrol, found, id } = await school(t)
    const serial = laptop(1).serial
    const [first, second, third] = [laptop(1), laptop(2, { serial }), laptop(3, { serial })]
    for (const one of [first, second]) await enrol(one)
    await id('remove', { user: uidOf(first) })
    t.strictSame(await found(serial), [uidOf(second)])
    t.strictSame((await listed(house)).get(uidOf(second))?.flags, [])
    await enrol(third)
    t.strictSame(await found(serial), [uidOf(second)])
    t.strictSame((await listed(house)).get(uidOf(third))?.flags, ['serial-conflict'])
  },
)

t.test('a flood of new laptops does not keep out those that are registered', async (t) => {
  const { enrol } = await school(t, { 'registration-limit': '3' })
  const known = laptop(1)
  for (let n = 1; n <= 3; n += 1) t.match(await enrol(laptop(n)), welcome)
  t.match(await enrol(laptop(4)), { success: 'ERR', error: /too many new laptops/ })
  t.match(
    await enrol(laptop(50, { pubkey: known.pubkey })),
    welcome,
    'with a serial of its own making as well',
  )
})

t.test('a key that was joined to the wrong child can be joined to the right one', async (t) => {
  const { house, enrol, found, id } = await school(t)
  const [moving, wrong, right] = [laptop(1), laptop(2), laptop(3)]
  for (const one of [moving, wrong, right]) await enrol(one)
  await id('alias', { new: uidOf(moving), old: uidOf(wrong) })
  await id('alias', { new: uidOf(moving), old: uidOf(right) })
  t.strictSame(await found(moving.serial), [uidOf(right)], 'its laptop goes along')
  t.match(await enrol(moving), welcome)
  const known = await listed(house)
  for (const one of [wrong, right])
    t.strictSame(known.get(uidOf(one))?.flags, [], 'and nothing is in dispute')
})

t.test('removing a joined key removes that key alone, and only when it is named', async (t) => {
  const { house, enrol, found, id } = await school(t)
  const [newer, older] = [laptop(1), laptop(2)]
  for (const one of [newer, older]) await enrol(one)
  await id('alias', { new: uidOf(newer), old: uidOf(older) })
  await t.rejects(id('remove', { user: newer.serial }), /several keys: .*name one|several keys/)
  t.equal((await listed(house)).size, 2, 'a serial that leads to both removes neither')
  await id('remove', { user: uidOf(newer) })
  t.strictSame([...(await listed(house)).keys()], [uidOf(older)])
  t.strictSame(await found(newer.serial), [], "its laptop is nobody's")
  await enrol(newer)
  t.strictSame(await found(newer.serial), [uidOf(newer)], 'and registers again as its own')
})

t.test('an answer that would lack what the laptop must not lose is a refusal', async (t) => {
  let broken = false
  const plugin = tapping('backup', (ctx) => {
    const backup = () => {
      if (broken) throw new Error('no disk')
      return { backupurl: 'ana@schoolserver:backup' }
    }
    ctx.tap(Registration.enrol, backup, { required: true })
  })
  const { house, enrol } = await school(t, {}, [plugin])
  t.match(await enrol(laptop(1)), { success: 'OK', backupurl: 'ana@schoolserver:backup' })
  broken = true
  t.match(await enrol(laptop(1)), { success: 'ERR', error: /try again later/ }, 'never an empty address')
  const { status } = await fetch(`${await house.url('httpd')}/client/status?uid=${uidOf(laptop(1))}`)
  t.equal(status, 503, 'nor a stamp of half an answer')
})

t.test('a replaced laptop gets at the old work, and what it brings is found', async (t) => {
  const asked: string[] = []
  const plugin = tapping('backup', (ctx) => {
    ctx.tap(Registration.enrol, ({ backupurl }, learner) => {
      asked.push(learner.uid)
      return backupurl === undefined ? { backupurl: `${learner.uid}@schoolserver:backup` } : {}
    })
  })
  const { enrol, found, id } = await school(t, {}, [plugin])
  const [old, replaced] = [laptop(1), laptop(2)]
  const before = await enrol(old)
  t.not((await enrol(replaced)).backupurl, before.backupurl)
  await id('alias', { new: uidOf(replaced), old: uidOf(old) })
  t.strictSame(await enrol(replaced), before, 'told what the old one was told')
  t.equal(asked.at(-1), uidOf(old))
  for (const { serial, uuid } of [old, replaced])
    for (const word of [serial, uuid]) t.strictSame(await found(word), [uidOf(old)])
  const again = laptop(3, { pubkey: replaced.pubkey })
  await enrol(again)
  t.strictSame(await found(again.serial), [uidOf(old)], 'also a serial that came after')
  await id('alias', { new: uidOf(replaced) }, { undo: 'true' })
  t.strictSame(await found(old.serial), [uidOf(old)])
  for (const { serial } of [replaced, again]) t.strictSame(await found(serial), [uidOf(replaced)])
  await t.rejects(id('alias', { new: 'SHC12345678', old: uidOf(old) }), /nobody is registered as SHC12345678/)
  await t.rejects(id('alias', { new: uidOf(old) }), /needs OLD/)
})

t.test(
  'a laptop that makes up a new serial and uuid each time stays one learner with few names',
  async (t) => {
    const { house, enrol, found, show, id } = await school(t)
    const { pubkey } = laptop(1)
    // As Sugar does: three letters, and the last digits of the time.
    const times = Array.from({ length: 50 }, (_, n) =>
      laptop(100 + n, { pubkey, serial: `QWX${96_000_000 + n}` }),
    )
    for (const one of times) t.match(await enrol(one), welcome)
    const [learner, ...others] = (await listed(house)).values()
    t.strictSame(others, [])
    const latest = times.slice(-16)
    t.strictSame(
      learner?.serials,
      latest.map(({ serial }) => serial),
    )
    t.strictSame(
      learner?.uuids,
      latest.map(({ uuid }) => uuid),
    )
    t.strictSame(learner?.flags, [])
    t.equal((await show(uidOf({ pubkey }))).laptops.length, 16, 'older serials are not listed')
    t.strictSame(await found(times[0]?.serial ?? ''), [uidOf({ pubkey })], 'but stay its own')
    t.strictSame(await found(times[49]?.uuid ?? ''), [uidOf({ pubkey })])

    await enrol(laptop(2))
    await id('alias', { new: uidOf({ pubkey }), old: uidOf(laptop(2)) })
    for (let n = 200; n < 250; n += 1) await enrol(laptop(n, { pubkey }))
    t.equal((await show(uidOf(laptop(2)))).laptops.length, 17, 'also when it was joined to another learner')
  },
)

/** A registry with its own clock, on a real store. */
async function registry(t: Test, now: () => Date, allowance = new Allowance(0)) {
  let shelves: Shelves | undefined
  const plugin = definePlugin({
    name: 'clockwork',
    api: 1,
    summary: 'keeps laptops by a clock of its own',
    collections,
    start(ctx) {
      shelves = ctx.store
    },
  })
  const house = await boot({ plugins: [plugin] })
  t.teardown(() => house.dispose())
  if (shelves === undefined) throw new Error('it did not start')
  const made = new Registry(shelves, allowance, now)
  return {
    shelves,
    register: ({ serial, nickname, uuid, pubkey }: Laptop, address = '10.0.0.1') => {
      const key = parsePublicKey(pubkey)
      return made.register({ uid: key.uid, keyType: key.type, serial, nickname, uuid, address }, key)
    },
  }
}

t.test('a server whose clock says 1970, or jumps, registers laptops all the same', async (t) => {
  let now = new Date(0)
  const { register } = await registry(t, () => now)
  const ana = laptop(1)
  const { user, added } = await register(ana)
  t.equal(added, true)
  t.equal(user.registeredAt, '1970-01-01T00:00:00.000Z')
  t.match(await register(ana), { added: false, user: { lastSeen: user.lastSeen } })
  now = new Date('2026-03-01T08:00:00Z')
  t.match(await register(ana), { user: { lastSeen: now.toISOString(), registeredAt: user.registeredAt } })
  const seen = now.toISOString()
  now = new Date(1000)
  t.match(await register(ana), { user: { lastSeen: seen } }, 'the latest time seen stays')
  t.match(await register({ ...ana, nickname: 'Ana' }), { user: { nickname: 'Ana' } })
  t.equal((await register(laptop(2, { serial: ana.serial }))).disputedWith, uidOf(ana))
})

t.test('a registration cut short after the serial was noted locks nobody out', async (t) => {
  const { shelves, register } = await registry(t, () => new Date())
  const [ghost, ana] = [laptop(1), laptop(2, { serial: laptop(1).serial })]
  const { serial, uuid } = ghost
  const firstSeen = new Date().toISOString()
  await shelves.machines.insert({ serial, uuid, uid: uidOf(ghost), firstSeen, claims: [] })
  const { user, disputedWith } = await register(ana)
  t.equal(disputedWith, undefined, 'who never came to be registered disputes nothing')
  t.strictSame(user.conflicts, [])
  t.match(await shelves.machines.get(serial), { uid: uidOf(ana) }, 'the serial is hers')
  t.equal((await register(ghost)).disputedWith, uidOf(ana), 'the other one comes too late')
})

t.test('laptops that come with one serial in the same moment are all served', async (t) => {
  const { house, enrol, show, found } = await school(t)
  const { serial } = laptop(0)
  const laptops = Array.from({ length: 30 }, (_, n) => laptop(n, { serial }))
  const replies = await Promise.all(laptops.map((one) => enrol(one)))
  t.equal(replies.filter(({ success }) => success === 'OK').length, 30)
  const [owner = ''] = await found(serial)
  const disputed = (await listed(house)).values()
  t.equal([...disputed].filter(({ flags }) => flags.includes('serial-conflict')).length, 30)
  const story = await show(owner)
  t.equal(story.laptops[0]?.claims.length, 29)
})

t.test('a removed learner leaves no dispute behind', async (t) => {
  const { house, enrol, found, id } = await school(t)
  const [old, other] = [laptop(1), laptop(2, { serial: laptop(1).serial })]
  await enrol(old)
  await enrol(other)
  await id('remove', { user: uidOf(old) })
  t.strictSame((await listed(house)).get(uidOf(other))?.flags, [], 'the one who stays')
  await enrol(other)
  t.strictSame(await found(old.serial), [uidOf(other)])
  await enrol(old)
  await id('remove', { user: uidOf(old) })
  t.strictSame((await listed(house)).get(uidOf(other))?.flags, [], 'nor when the one who claimed it goes')
  await t.rejects(id('remove', { user: uidOf(old) }), /nobody is registered/)
})

t.test('with registration=known only laptops on the list come in, by serial, uid or key', async (t) => {
  const { house, enrol } = await school(t, { registration: 'known' })
  const [bySerial, byUid, byKey, byLine, stranger] = [1, 2, 3, 4, 5].map((n) => laptop(n)) as [
    Laptop,
    Laptop,
    Laptop,
    Laptop,
    Laptop,
  ]
  t.match(await enrol(bySerial), { success: 'ERR', error: /not on the list of the school/ })
  const list = [
    'serial',
    '# the fourth class',
    '',
    `"${bySerial.serial.toLowerCase()}","Ana"`,
    `${uidOf(byUid).toUpperCase()}; Bob`,
    byKey.pubkey,
    `ssh-ed25519 ${byLine.pubkey} owner@xo`,
    bySerial.serial,
    '../../x',
    'AAAA not a key but long enough for one',
  ].join('\r\n')
  const files = [{ path: 'class.csv', bytes: Buffer.from(`\ufeff${list}`) }]
  const call = { args: { file: 'class.csv' }, options: { known: 'true' }, files }
  const { ended, out, err } = await house.command(['id', 'import'], call)
  t.equal(ended.exit, 65)
  t.match(out, '4 added, 0 updated, 1 as they were, 2 refused')
  t.match(err, /class\.csv:9: the serial[\s\S]*class\.csv:10: public key/)
  for (const one of [bySerial, byUid, byKey, byLine]) t.match(await enrol(one), welcome)
  t.match(await enrol(stranger), { success: 'ERR', error: /not on the list/ })
  const renewed = laptop(6, { pubkey: bySerial.pubkey })
  t.match(await enrol(renewed), welcome, 'who is registered may come with another serial')
  t.equal((await listed(house)).size, 4)
})

t.test('with registration=closed only those come in who were registered before', async (t) => {
  const open = await school(t)
  await open.enrol(laptop(1))
  const { out } = await open.house.command(['id', 'export'])
  const { house, enrol } = await school(t, { registration: 'closed' })
  t.match(await enrol(laptop(1)), { success: 'ERR', error: /registration is closed/ })
  const files = [{ path: '-', bytes: Buffer.from(out) }]
  await house.command(['id', 'import'], { args: { file: '-' }, files })
  t.match(await enrol(laptop(1)), welcome)
  t.match(await enrol(laptop(2)), { success: 'ERR', error: /registration is closed/ })
})

t.test('other plugins add to the reply; what is no text or ours to say is left out', async (t) => {
  if (!needs(t, 'python3', 'python3')) return
  const config = { 'collect-url': 'http://schoolserver:8000/', 'x]]>]]>': '<&\u0001' }
  const { house, url } = await school(t, { 'jabber-server': 'jabber.school' }, [
    enrolling('one', {
      backupurl: 'one@schoolserver:backup',
      config,
      jabberserver: 5,
      number: 7,
      nothing: null,
      list: ['a'],
      struct: { a: 'b' },
      deep: { a: { b: 'c' } },
      success: 'ERR',
      error: 'no',
      uid: 'somebody else',
      '<b>]]>': ']]>]]>\0',
    }),
    enrolling('two', { backupurl: 'two@schoolserver:backup', backuppath: '/two', config: { no: 'no' } }),
    enrolling('three', { config: { port: 8000 } }),
    tapping('broken', (ctx) => {
      ctx.tap(Registration.enrol, () => {
        throw new Error('no idea')
      })
    }),
  ])
  const { serial, nickname, uuid, pubkey } = laptop(1)
  const call = await pythonClientOf(t)
  const expected = {
    success: 'OK',
    backupurl: 'one@schoolserver:backup',
    backuppath: '/two',
    jabberserver: 'jabber.school',
    config: { 'collect-url': 'http://schoolserver:8000/', 'x]]>]]>': '<&\ufffd', no: 'no' },
    deep: {},
    struct: { a: 'b' },
    '<b>]]>': ']]>]]>\ufffd',
  }
  for (const time of ['first', 'second'])
    t.strictSame(
      await call(`${url}/`, 'register', [serial, nickname, uuid, pubkey]),
      { reply: expected },
      time,
    )
  const { body } = await post(`${await house.url('httpd')}/client/register`, JSON.stringify(laptop(1)))
  const rest: Struct = JSON.parse(
    (
      await post(
        `${await house.url('httpd')}/client/register`,
        JSON.stringify({ machine_sn: serial, nickname, machine_uuid: uuid, pubkey }),
      )
    ).body,
  )
  t.match(rest, { success: 'OK', uid: uidOf({ pubkey }), backupurl: 'one@schoolserver:backup' })
  t.notOk('error' in rest)
  t.match(JSON.parse(body), { success: 'ERR', error: /uuid must be text/ })
})

t.test('a plugin that refuses is heard by the child; one that fails is not', async (t) => {
  const secret = 'the password of the database is owl'
  const guard = tapping('guard', (ctx) => {
    ctx.tap(Registration.admit, ({ nickname }) => {
      if (nickname === 'Mallory') throw new RequestError('REFUSED', 'ask Ms. Owl <first> & wait')
      if (nickname === 'Trouble') throw new Error(secret)
      if (nickname === 'Nothing') throw undefined
    })
  })
  const { house, enrol } = await school(t, {}, [guard])
  t.match(await enrol(laptop(1, { nickname: 'Mallory' })), {
    success: 'ERR',
    error: 'ask Ms. Owl <first> & wait',
  })
  for (const nickname of ['Trouble', 'Nothing']) {
    const reply = await enrol(laptop(2, { nickname }))
    t.match(reply, { success: 'ERR', error: /^internal error, reference [0-9a-z]+$/ })
    t.notMatch(JSON.stringify(reply), /owl/)
  }
  t.equal((await listed(house)).size, 0, 'a gate that fails stays shut')
  t.match(await enrol(laptop(3)), welcome)
})

t.test('plugins that never answer keep no laptop waiting for longer than it waits', async (t) => {
  let end: () => void = () => undefined
  const never = new Promise<void>((resolve) => {
    end = resolve
  })
  const slow = tapping('slow', (ctx) => {
    ctx.tap(Registration.admit, ({ nickname }) => (nickname === 'Gate' ? never : undefined))
    ctx.tap(Registration.enrol, () => never.then(() => ({ backuppath: '/late' })))
    ctx.tap(Registration.registered, () => never)
  })
  const { house, enrol } = await school(t, { 'drain-seconds': '0' }, [
    slow,
    enrolling('quick', { backupurl: 'quick@schoolserver:backup' }),
  ])
  const began = performance.now()
  const [refused, served] = await Promise.all([
    enrol(laptop(1, { nickname: 'Gate' })),
    enrol(laptop(2, { nickname: 'Ana' })),
  ])
  t.ok(performance.now() - began < 8000, 'within the 8 s of Sugar')
  t.match(refused, { success: 'ERR', error: /internal error, reference/ })
  t.match(served, { ...welcome, backupurl: 'quick@schoolserver:backup' })
  t.strictSame([...(await listed(house)).keys()], [uidOf(laptop(2))])
  end()
})

t.test('who registers for the first time is news, once for each key', async (t) => {
  const heard: Learner[] = []
  const listening = tapping('listening', (ctx) => {
    ctx.tap(Registration.registered, (learner) => void heard.push(learner))
    ctx.tap(Registration.registered, () => {
      throw new Error('deaf')
    })
  })
  const { house, enrol } = await school(t, {}, [listening])
  await enrol(laptop(1, { nickname: 'Ana' }))
  await enrol(laptop(1, { nickname: 'Ana the Great' }))
  await enrol(laptop(7, { pubkey: laptop(1).pubkey }))
  await enrol(laptop(2, { nickname: 'Bob' }))
  await enrol(laptop(3, { uuid: 'no' }))
  await house.dispose()
  t.strictSame(
    heard.map(({ uid, nickname }) => [uid, nickname]),
    [
      [uidOf(laptop(1)), 'Ana'],
      [uidOf(laptop(2)), 'Bob'],
    ],
  )
})

t.test('a class behind one router never meets the limit', async (t) => {
  const { house, enrol } = await school(t)
  const laptops = Array.from({ length: 40 }, (_, n) => laptop(n))
  for (let day = 0; day < 20; day += 1) {
    const replies = await Promise.all(
      laptops.map(({ pubkey }, n) =>
        enrol(laptop(1000 + day * 40 + n, { pubkey, nickname: `Learner ${n}` })),
      ),
    )
    t.equal(replies.filter(({ success }) => success === 'OK').length, 40, `day ${day + 1}`)
  }
  t.equal((await listed(house)).size, 40)
})

t.test('a script that makes up laptops is stopped, and nothing of those refused is kept', async (t) => {
  const { house, enrol, found } = await school(t, { 'registration-limit': '20' })
  const laptops = Array.from({ length: 100 }, (_, n) => laptop(n))
  const served: Laptop[] = []
  const refused: Laptop[] = []
  for (const one of laptops) {
    const { success, error } = await enrol(one)
    if (success === 'OK') served.push(one)
    else if (/too many new laptops from this network/.test(String(error))) refused.push(one)
  }
  t.equal(served.length, 20)
  t.equal(refused.length, 80)
  for (const one of served) t.match(await enrol(one), welcome, 'who is registered is served')
  const [victim] = refused
  if (victim === undefined) return
  t.match(await enrol(laptop(500, { serial: victim.serial }), '127.0.0.2'), welcome, 'from elsewhere')
  t.strictSame(await found(victim.serial), [uidOf(laptop(500))], 'the serial is the one who came in')
  const known = await listed(house)
  t.equal(known.size, 21)
  t.strictSame(known.get(uidOf(laptop(500)))?.flags, [])
})

t.test('the allowance counts networks, and grows back with time', async (t) => {
  let now = Date.parse('2026-03-01T08:00:00Z')
  const allowance = new Allowance(5000, () => now)
  const served = (address: string, times: number): number =>
    Array.from({ length: times }, () => allowance.take(address)).filter(Boolean).length
  t.equal(served('10.1.2.3', 10_000), 5000, 'ten thousand in a minute')
  t.equal(served('::ffff:10.1.2.3', 10), 0, 'the same address, seen by a socket of IPv6')
  t.equal(served('10.1.2.4', 40), 40, 'the neighbour')
  now += 3_600_000
  t.equal(served('10.1.2.3', 10_000), 1000, 'an hour later')
  now -= 86_400_000
  t.equal(served('10.1.2.3', 10), 0, 'a clock that is set back gives nothing')
  now += 7 * 86_400_000
  t.equal(served('10.1.2.3', 10_000), 5000, 'a week later')
  t.equal(new Allowance(0, () => now).take('10.1.2.3'), true)
  const none = new Allowance(0, () => now)
  t.equal(Array.from({ length: 20_000 }, () => none.take('::1')).every(Boolean), true, '0 is no limit')
})

t.test('all addresses of one IPv6 network count as one, and of two as two', async (t) => {
  const same: [string, string][] = [
    ['2001:db8:0:1::1', '2001:db8:0:1:ffff:1:2:3'],
    ['2001:db8::1', '2001:db8:0:0:1:2:3:4'],
    ['2001:db8::1', '2001:db8::1:2:3:4'],
    ['fe80::1%eth0', 'fe80::2%eth0'],
    ['::1', '::2'],
    ['::1', '0:0:0:0:1::'],
    ['1::2:3:4:5:6', '1:0:0:2:9:9:9:9'],
    ['1::', '1::5'],
  ]
  const other: [string, string][] = [
    ['2001:db8:0:1::1', '2001:db8:0:2::1'],
    ['2001:db8::1', '2001:db9::1'],
    ['1::2:3:4:5:6', '1::3:3:4:5:6'],
    ['::2:0:0:0:1', '::3:0:0:0:1'],
    ['::1', '1::'],
    ['10.0.0.1', '10.0.0.2'],
    ['::ffff:10.0.0.1', '::ffff:10.0.0.2'],
  ]
  for (const [one, two] of same) {
    const allowance = new Allowance(1, () => 0)
    allowance.take(one)
    t.equal(allowance.take(two), false, `${one} and ${two}`)
  }
  for (const [one, two] of other) {
    const allowance = new Allowance(1, () => 0)
    allowance.take(one)
    t.equal(allowance.take(two), true, `${one} and ${two}`)
  }
})

t.test('keys and uuids are in no line of the log, whatever happens', async (t) => {
  const args = ['--host', '127.0.0.1', '--httpd-port', '0', '--id-port', '0', '--plugins', 'id']
  const server = await startServer(t, { args: [...args, '--log-level', 'debug'] })
  const [url, httpd] = [await server.url('id'), await server.url('httpd')]
  const ana = laptop(0xfedcba98)
  const other = laptop(0xfedcba99, { serial: ana.serial })
  await register(url, ana)
  await register(url, other)
  await register(url, { ...ana, serial: '../x' })
  await register(url, { ...ana, pubkey: `${ana.pubkey}x` })
  await register(url, { ...ana, uuid: `${ana.uuid}x` })
  await t.rejects(register(`${url}/${ana.uuid}`, ana))
  await t.rejects(register(`${url}/x?key=${encodeURIComponent(ana.pubkey)}`, ana))
  await post(`${url}/`, `<methodCall><methodName>${ana.uuid}</methodName></methodCall>`)
  const { serial, nickname, uuid, pubkey } = ana
  await post(
    `${httpd}/client/register`,
    JSON.stringify({ machine_sn: serial, nickname, machine_uuid: uuid, pubkey: `ssh-ed25519 ${pubkey}` }),
  )
  await post(`${httpd}/client/register`, `{"pubkey": "${pubkey}"`)
  for (const path of [
    `status?uuid=${uuid}`,
    `status?uuid=${uuid.toUpperCase()}`,
    `${uuid}`,
    `status?uid=${pubkey}`,
  ])
    await post(`${httpd}/client/${path}`, '', { method: 'GET' })
  const { err } = await server.stop()
  t.ok(server.log().filter(({ msg }) => msg === 'request').length >= 10, 'requests are logged')
  t.match(err, /came with another key/, 'and so is the dispute')
  for (const who of [ana, other]) {
    t.notOk(err.toLowerCase().includes(who.uuid), 'no uuid')
    t.notOk(err.includes(who.pubkey.slice(20, 60)), 'no key')
  }
})

t.test('a fault has the code and the text that Python shows', async (t) => {
  const { url } = await school(t)
  const body = '<methodCall><methodName>&lt;b&gt;]]&gt;&amp;</methodName></methodCall>'
  const { body: answer } = await post(`${url}/`, body)
  t.throws(() => parseReply(Buffer.from(answer)), new Fault(-32601, 'there is no method <b>]]>&'))
})

t.test('other plugins find a learner by any name, and each learner once', async (t) => {
  let users: Users | undefined
  const asking = definePlugin({
    name: 'asking',
    api: 1,
    summary: 'asks who is who',
    needs: { users: Users },
    start(ctx) {
      users = ctx.needs.users
    },
  })
  const { enrol, id, show } = await school(t, {}, [asking])
  if (users === undefined) return t.fail('it did not start')
  const twins = [3, 4].map((n) => laptop(n, { uuid: laptop(3).uuid }))
  for (const one of [laptop(1), laptop(2), ...twins]) await enrol(one)
  await id('alias', { new: uidOf(laptop(2)), old: uidOf(laptop(1)) })
  const first = uidOf(laptop(1))

  t.match(await users.byKey(laptop(2).pubkey), { uid: first, pubkey: `ssh-ed25519 ${laptop(1).pubkey}` })
  t.match(await users.byUid(uidOf(laptop(2))), { uid: first })
  for (const nobody of ['', 'x', '__proto__', first.toUpperCase(), `${first}0`, uidOf(laptop(9))])
    t.equal(await users.byUid(nobody), undefined, `nobody is ${nobody}`)
  const all: string[] = []
  for await (const { uid } of users.all()) all.push(uid)
  t.strictSame(all.sort(), [first, ...twins.map(uidOf)].sort(), 'one joined to another is left out')

  const found = async (word: string) => (await users?.find(word))?.map(({ uid }) => uid).sort()
  for (const word of [first.slice(0, 6), first.slice(0, 39).toUpperCase(), ` ${first} `, laptop(2).serial])
    t.strictSame(await found(word), [first], word)
  t.strictSame(await found(laptop(3).uuid), twins.map(uidOf).sort(), 'a uuid of two leads to both')
  for (const word of [first.slice(0, 5), '', ' ', '__proto__', '.*', '$gt', 'x'.repeat(300), 'Learner 1'])
    t.strictSame(await found(word), [], `nobody is "${word.slice(0, 20)}"`)
  await t.rejects(show(laptop(3).uuid), /may be any of [0-9a-f]{40} \(Learner [34]\), /)
})
