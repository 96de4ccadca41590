import { execFileSync } from 'node:child_process'
import { mkdir, readFile, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import fc from 'fast-check'
import t, { type Test } from 'tap'
import type { InputFile } from '../../../core/api.js'
import { boot, type TestHouse } from '../../../core/testing.js'
import { readCsv, writeCsv } from '../../../plugins/id/csv.js'
import id from '../../../plugins/id/plugin.js'
import type { Struct } from '../../../sugaroid/index.js'
import { cli, startServer } from '../../support/core/server-process.js'
import {
  blobOf,
  hangUp,
  type Laptop,
  laptop,
  listed,
  register,
  uidOf,
} from '../../support/id/registering-laptops.js'
import { needs } from '../../support/needs.js'
import { runs } from '../../support/rounds.js'
import { temporaryDirectory } from '../../support/temporary-directory.js'

t.setTimeout(300_000)

t.teardown(hangUp)

interface Imported {
  exit: number
  /** What was said on standard output and on standard error. */
  out: string
  err: string
}

interface School {
  house: TestHouse
  enrol: (who: Laptop) => Promise<Struct>
  take: (files: Record<string, string | Buffer>) => Promise<Imported>
  /** What `id export` prints. */
  given: (format?: 'json' | 'csv') => Promise<string>
  found: (word: string) => Promise<unknown>
  alias: (newer: Laptop, older: Laptop) => Promise<void>
}

async function school(t: Test): Promise<School> {
  const house = await boot({ plugins: [id] })
  t.teardown(() => house.dispose())
  const url = await house.url('id')
  return {
    house,
    enrol: (who) => register(url, who),
    async take(contents) {
      const files: InputFile[] = Object.entries(contents).map(([path, content]) => ({
        path,
        bytes: Buffer.from(content),
      }))
      const { ended, out, err } = await house.command(['id', 'import'], { args: { file: '.' }, files })
      const message = 'message' in ended ? (ended.message ?? '') : ''
      return { exit: ended.exit, out, err: `${err}${message}` }
    },
    async given(format = 'json') {
      const { out } = await house.command(['id', 'export'], { options: { format } })
      return out
    },
    found: async (word) => (await house.house.explain(word)).id?.facts.uid,
    async alias(newer, older) {
      await house.command(['id', 'alias'], { args: { new: uidOf(newer), old: uidOf(older) } })
    },
  }
}

type Row = Record<string, string | number | null>

/** An idmgr database as an OLPC XS has it, made by SQLite itself. */
async function idmgr(t: Test, rows: readonly Row[], columns = xsColumns): Promise<Buffer> {
  const file = join(t.testdir(), `identity${Math.random()}.db`)
  const script = `
import json, sqlite3, sys
columns, rows = json.load(sys.stdin)
db = sqlite3.connect(sys.argv[1])
db.execute('CREATE TABLE laptops (' + ', '.join(columns) + ')')
for row in rows:
    names = list(row)
    db.execute('INSERT INTO laptops (%s) VALUES (%s)' % (', '.join(names), ', '.join('?' * len(names))), [row[n] for n in names])
db.commit()
`
  execFileSync('python3', ['-c', script, file], { input: JSON.stringify([columns, rows]) })
  return readFile(file)
}

const xsColumns = [
  'serial text primary key',
  'nickname text',
  'full_name text',
  'class_group text',
  'pubkey text',
  'uuid text',
  'lastmodified text',
]

const xsRow = ({ serial, nickname, uuid, pubkey }: Laptop, more: Row = {}): Row => ({
  serial,
  nickname,
  uuid,
  pubkey,
  lastmodified: '2010-03-05 14:22:10.123456',
  ...more,
})

t.test('the database of an OLPC XS is taken over, and its laptops are known', async (t) => {
  if (!needs(t, 'python3', 'python3')) return
  const { house, take, enrol, found } = await school(t)
  const dsa = blobOf(
    'ssh-dss',
    ...[1024, 160, 1024, 1024].map((bits) => Buffer.concat([Buffer.from([0]), Buffer.alloc(bits / 8, 0xa5)])),
  )
  const [ana, bob, carla] = [
    laptop(1, { nickname: 'María <José> 🦉', pubkey: dsa }),
    laptop(2),
    laptop(3, { pubkey: laptop(2).pubkey }),
  ] as const
  const database = await idmgr(t, [
    xsRow(ana, { full_name: 'María José', class_group: '4b' }),
    xsRow(bob),
    xsRow(carla),
    xsRow(laptop(4), { uuid: null, nickname: null, lastmodified: null }),
    xsRow(laptop(5), { uuid: '' }),
    xsRow(laptop(6), { serial: '../../etc' }),
    xsRow(laptop(7), { pubkey: 'owl' }),
    xsRow(laptop(8), { pubkey: null }),
    xsRow(laptop(9), { uuid: 'no uuid' }),
  ])
  const first = await take({ 'identity.db': database })
  t.equal(first.exit, 65)
  t.match(first.out, '4 added, 1 updated, 0 as they were, 4 refused')
  for (const line of [
    /identity\.db: laptop \.\.\/\.\.\/etc: the serial number/,
    /identity\.db: laptop SHC00000007: public key/,
    /identity\.db: laptop SHC00000008: public key: it is empty/,
    /identity\.db: laptop SHC00000009: the uuid/,
  ])
    t.match(first.err, line)
  const known = await listed(house)
  t.equal(known.size, 4)
  t.match(known.get(uidOf(ana)), {
    nickname: ana.nickname,
    serials: [ana.serial],
    uuids: [ana.uuid],
    keyType: 'ssh-dss',
    registeredAt: /^2010-03-0[456]T/,
    flags: [],
  })
  t.strictSame(known.get(uidOf(bob))?.serials, [bob.serial, carla.serial], 'one key with two laptops')
  t.match(known.get(uidOf(laptop(4))), { nickname: '', uuids: [] }, 'an old row without uuid and name')
  t.equal(await found(carla.serial), uidOf(bob))
  t.equal(await found(ana.uuid), uidOf(ana))
  const second = await take({ 'identity.db': database })
  t.match(second.out, '0 added, 0 updated, 5 as they were, 4 refused')
  t.strictSame(await listed(house), known, 'taking it over twice changes nothing')
  t.match(await enrol(ana), { success: 'OK' })
  t.strictSame((await listed(house)).get(uidOf(ana))?.flags, [], 'who registers again is no stranger')
})

t.test('a database of an older XS, which had fewer columns, is taken over too', async (t) => {
  if (!needs(t, 'python3', 'python3')) return
  const { take, found } = await school(t)
  const { serial, nickname, pubkey } = laptop(1)
  const columns = ['serial text primary key', 'nickname text', 'full_name text', 'pubkey text']
  const { exit, out } = await take({ 'identity.db': await idmgr(t, [{ serial, nickname, pubkey }], columns) })
  t.equal(exit, 0)
  t.match(out, '1 added')
  t.equal(await found(serial), uidOf(laptop(1)))
})

t.test('a registry of one JSON file per item is taken over, users and machines in any order', async (t) => {
  const { house, take, found, enrol } = await school(t)
  const [ana, bob, carla] = [laptop(1), laptop(2), laptop(3)]
  const user = (who: Laptop) => ({
    uid: uidOf(who),
    nickname: who.nickname,
    machine_sn: who.serial,
    machine_uuid: who.uuid,
    pubkey: `ssh-ed25519 ${who.pubkey} owner@xo`,
  })
  const machine = (of: Laptop, { serial, uuid }: Laptop) => ({
    uid: uidOf(of),
    machine_sn: serial,
    machine_uuid: uuid,
  })
  const files = {
    [`machines/${laptop(10).serial}`]: machine(ana, laptop(10)),
    [`machines/${laptop(11).serial}`]: { ...machine(bob, laptop(11)), machine_uuid: '' },
    [`machines/${laptop(12).serial}`]: machine(laptop(99), laptop(12)),
    [`machines/${ana.serial}`]: machine(ana, ana),
    'machines/bad': { ...machine(ana, laptop(13)), machine_sn: '..' },
    [`users/${uidOf(ana)}`]: user(ana),
    [`users/${uidOf(bob)}`]: { ...user(bob), machine_uuid: '' },
    [`users/${uidOf(carla)}`]: { uid: uidOf(carla), pubkey: carla.pubkey, machine_sn: '', machine_uuid: '' },
    'users/bad': { ...user(laptop(4)), pubkey: 'ssh-rsa owl' },
    'users/other': { uid: 5, nickname: {} },
    'users/proto': JSON.parse('{"__proto__": {"pubkey": "x"}, "constructor": 1}'),
  }
  const contents = Object.fromEntries(
    Object.entries(files).map(([path, item]) => [path, JSON.stringify(item)]),
  )
  const { exit, out, err } = await take(contents)
  t.equal(exit, 65)
  t.match(out, '3 added, 0 updated, 0 as they were, 5 refused')
  t.match(err, `machines/${laptop(12).serial}: its learner ${uidOf(laptop(99))} is not registered`)
  for (const line of [/machines\/bad: the serial/, /users\/bad: public key/, /users\/other: it has neither/])
    t.match(err, line)
  const known = await listed(house)
  t.strictSame(known.get(uidOf(ana))?.serials, [ana.serial, laptop(10).serial])
  t.strictSame(known.get(uidOf(ana))?.uuids, [ana.uuid, laptop(10).uuid])
  t.strictSame(known.get(uidOf(carla))?.serials, [])
  t.equal(await found(laptop(11).serial), uidOf(bob))
  t.match((await take(contents)).out, '0 added, 0 updated, 3 as they were, 5 refused')
  t.strictSame(await listed(house), known, 'taking it over twice changes nothing')
  t.match(await enrol(laptop(10, { pubkey: ana.pubkey })), { success: 'OK' })
  t.strictSame(
    (await listed(house)).get(uidOf(ana))?.flags,
    ['shared-key'],
    'its key came with the serial of another XO',
  )
})

/** A school where everything happened that may: nasty names, joined laptops, disputes, laptops without a serial. */
async function lived(t: Test): Promise<School> {
  const made = await school(t)
  const names = [
    '=cmd|"/c calc"!A1',
    "'=1+1",
    "''=1",
    "'",
    "'quoted'",
    '+1',
    '-1',
    '@SUM(A1)',
    '\t=1',
    '\r=1',
    'a "quoted" name',
    'a,b;c',
    'two\nlines',
    'two\r\nlines\r',
    '',
    ' Ana ',
    '\u202eanA',
    '\u2028\u2029',
    ']]>',
    'ñandú 🦉',
    '\ufeff',
  ]
  for (const [number, nickname] of names.entries()) await made.enrol(laptop(number, { nickname }))
  for (let n = 100; n < 103; n += 1) await made.enrol(laptop(n, { pubkey: laptop(3).pubkey }))
  const none = { serial: 'SHF00000000', uuid: '00000000-0000-0000-0000-000000000000' }
  for (const n of [200, 201]) await made.enrol(laptop(n, none))
  await made.alias(laptop(0), laptop(1))
  await made.alias(laptop(5), laptop(4))
  await made.enrol(laptop(300))
  await new Promise((resolve) => setTimeout(resolve, 5))
  await made.enrol(laptop(301, { serial: laptop(300).serial }))
  return made
}

for (const format of ['json', 'csv'] as const) {
  t.test(`what id export prints as ${format} is taken back whole`, async (t) => {
    const old = await lived(t)
    const printed = await old.given(format)
    const fresh = await school(t)
    const { exit, out, err } = await fresh.take({ [`school.${format}`]: printed })
    t.equal(err, '')
    t.equal(exit, 0)
    t.match(out, /^25 added, 0 updated, 0 as they were, 0 refused/)
    t.equal(await fresh.given(format), printed, 'and prints the same again')
    t.equal(await fresh.given('json'), await old.given('json'))
    t.strictSame(await listed(fresh.house), await listed(old.house), 'flags included')
    for (const number of [0, 3, 5, 100, 200, 300]) {
      const { serial, uuid } = laptop(number)
      for (const word of [serial, uuid]) t.equal(await fresh.found(word), await old.found(word), word)
    }
    for (const number of [0, 1, 4, 5]) await fresh.enrol(laptop(number))
    const { flags } = (await listed(fresh.house)).get(uidOf(laptop(4))) ?? {}
    t.strictSame(flags, [], 'joined laptops that register again dispute nothing')
    const again = await school(t)
    await again.take({ a: printed })
    const before = await again.given()
    t.match((await again.take({ a: printed })).out, '0 added, 0 updated, 25 as they were, 0 refused')
    t.equal(await again.given(), before, 'taking it back twice changes nothing')
  })
}

t.test('an exported CSV holds no formula, and is the same table to Python', async (t) => {
  const { given } = await lived(t)
  const csv = await given('csv')
  const rows = readCsv(csv).map(({ row }) => row)
  t.ok(rows.length >= 20)
  if (!needs(t, 'python3', 'python3')) return
  const script =
    'import csv, io, json, sys; print(json.dumps(list(csv.DictReader(io.StringIO(sys.stdin.buffer.read().decode(), newline="")))))'
  const read = JSON.parse(execFileSync('python3', ['-c', script], { input: csv }).toString()) as Record<
    string,
    string
  >[]
  const bare = ({ nickname = '', ...rest }: Record<string, string>) => ({
    ...rest,
    nickname: /^'[=+\-@\t\r']/.test(nickname) ? nickname.slice(1) : nickname,
  })
  t.strictSame(read.map(bare), rows)
  const run = read.flatMap((row) => Object.values(row)).filter((cell) => /^[=+\-@\t\r]/.test(cell))
  t.strictSame(run, [], 'no cell that a spreadsheet would run')
})

t.test('a table that a teacher wrote is taken over, whatever its columns', async (t) => {
  const { house, take, found } = await school(t)
  const [ana, bob] = [laptop(1), laptop(2)]
  const table = [
    'class,pubkey, nickname ,serial,__proto__',
    `4b,ssh-ed25519 ${ana.pubkey} ana@xo,"Ana, the ""Great""",${ana.serial.toLowerCase()},x`,
    '',
    `4b,${bob.pubkey},Bob`,
    '4b,,Nobody,SHC00000009',
    `4b,${laptop(3).pubkey},Carla,"SHC 0003"`,
    `4b,${laptop(4).pubkey},${'x'.repeat(2000)},${laptop(4).serial}`,
  ].join('\r\n')
  const { exit, out, err } = await take({ 'class.csv': `\ufeff${table}` })
  t.equal(exit, 65)
  t.match(out, '3 added, 0 updated, 0 as they were, 2 refused')
  t.match(err, /class\.csv:5: public key: it is empty/)
  t.match(err, /class\.csv:7: the nickname is longer/)
  const known = await listed(house)
  t.match(known.get(uidOf(ana)), { nickname: 'Ana, the "Great"', serials: [ana.serial], uuids: [] })
  t.match(known.get(uidOf(bob)), { nickname: 'Bob', serials: [] })
  t.strictSame(known.get(uidOf(laptop(3)))?.serials, ['SHC', '0003'], 'words are serials')
  t.equal(await found(ana.serial), uidOf(ana))
})

t.test('laptops whose serial somebody has already are taken over in dispute', async (t) => {
  const { house, take, enrol, found } = await school(t)
  const [ana, bob] = [laptop(1), laptop(2, { serial: laptop(1).serial })]
  await enrol(ana)
  const { out } = await take({ 'bob.json': JSON.stringify({ ...bob, machine_sn: bob.serial }) })
  t.match(out, '1 added')
  t.equal(await found(ana.serial), uidOf(ana), 'the serial stays where it was')
  const known = await listed(house)
  for (const one of [ana, bob]) t.strictSame(known.get(uidOf(one))?.flags, ['serial-conflict'])
})

t.test('laptops without a serial of their own do not get into a dispute by being taken over', async (t) => {
  const { house, take } = await school(t)
  const none = { serial: 'SHF00000000', uuid: '00000000-0000-0000-0000-000000000000' }
  const items = [1, 2, 3].map((n) => {
    const { pubkey, serial, uuid } = laptop(n, none)
    return { pubkey, serials: [serial], uuids: [uuid] }
  })
  t.match((await take({ 'pis.json': JSON.stringify(items) })).out, '3 added')
  const { out } = await house.command(['id', 'show'], { args: { user: uidOf(laptop(1)) }, json: true })
  t.strictSame(JSON.parse(out).laptops, [])
  t.strictSame(
    [...(await listed(house)).values()].flatMap(({ flags }) => flags),
    [],
  )
})

t.test('joins that lead in a circle, to nobody, or along a chain end somewhere', async (t) => {
  const { house, take } = await school(t)
  const item = (number: number, to?: number | string) => ({
    pubkey: laptop(number).pubkey,
    serials: [laptop(number).serial],
    ...(to === undefined ? {} : { aliasOf: typeof to === 'string' ? to : uidOf(laptop(to)) }),
  })
  const items = [
    item(1, 2),
    item(2, 1),
    item(3, 3),
    item(4, 99),
    item(5, '../x'),
    item(6, 7),
    item(7, 8),
    item(8),
  ]
  const { exit, err } = await take({ 'joins.json': JSON.stringify(items) })
  t.equal(exit, 65)
  t.match(err, /joins\.json: item 4: it is joined to/)
  const known = await listed(house)
  t.equal(known.size, 8)
  const joined = [...known.values()].filter(({ flags }) => flags.includes('alias')).map(({ uid }) => uid)
  t.ok(joined.includes(uidOf(laptop(6))) && joined.includes(uidOf(laptop(7))))
  for (const uid of known.keys()) {
    const { out } = await house.command(['id', 'show'], { args: { user: uid }, json: true })
    const found = JSON.parse(out)
    t.strictSame(found.flags, [], `${uid.slice(0, 8)} leads to a learner of its own`)
  }
})

t.test('files that are garbage are named, and the rest goes in', async (t) => {
  const { house, take } = await school(t)
  const sqlite = Buffer.concat([Buffer.from('SQLite format 3\0'), Buffer.alloc(5000, 0x5a)])
  const noise = Buffer.from(Array.from({ length: 5000 }, (_, n) => (n * 7919 + ((n * n) >> 3)) & 0xff))
  const garbage: Record<string, string | Buffer> = {
    'a.json': '{"pubkey": ',
    'b.json': '[1, null, "x", [], {"uid": "x"}]',
    'c.csv': 'a "b" c,"d\n',
    'd.csv': 'serial,nickname\nSHC1,Ana\n',
    'e.db': sqlite,
    'f.db': Buffer.from('SQLite format 3\0'),
    'g.bin': noise,
    'h.txt': 'please see the other file\n',
    'i.json': '['.repeat(100_000),
    'j.html': '<!DOCTYPE html><title>no</title>\n<p>no\n',
  }
  const good = JSON.stringify({ pubkey: laptop(1).pubkey, machine_sn: laptop(1).serial })
  const { exit, out, err } = await take({ ...garbage, 'z.json': good, 'empty.json': '' })
  t.equal(exit, 65)
  t.match(out, '1 added, 0 updated, 0 as they were, 14 refused')
  for (const path of Object.keys(garbage)) t.match(err, `refused: ${path}`, path)
  t.equal((await listed(house)).size, 1)
  t.match(await take({ nothing: '' }), { exit: 0, out: /^0 added/ })
})

t.test('a database without the table of an XS is refused by name', async (t) => {
  if (!needs(t, 'python3', 'python3')) return
  const { take } = await school(t)
  const file = join(t.testdir(), 'other.db')
  execFileSync('python3', [
    '-c',
    `import sqlite3; sqlite3.connect('${file}').execute('CREATE TABLE owls (name)')`,
  ])
  const { exit, err } = await take({ 'other.db': await readFile(file) })
  t.equal(exit, 65)
  t.match(err, /other\.db: it is no database of an XS: no such table: laptops/)
  const whole = await idmgr(
    t,
    Array.from({ length: 200 }, (_, n) => xsRow(laptop(n))),
  )
  const cut = await take({ 'cut.db': whole.subarray(0, whole.length / 2) })
  t.equal(cut.exit, 65)
  t.match(cut.err, /cut\.db: /)
})

t.test(
  'the command line takes files, directories and standard input, into a running server or none',
  async (t) => {
    const home = await temporaryDirectory(t)
    const root = join(home, 'root')
    await mkdir(join(home, 'registry', 'users'), { recursive: true })
    await writeFile(join(home, 'registry', 'users', 'ana'), JSON.stringify({ pubkey: laptop(1).pubkey }))
    await writeFile(join(home, 'registry', 'bad'), 'owl')
    const given = { cwd: home, home }
    const alone = await cli(t, ['id', 'import', 'registry', '--root', root], given)
    t.equal(alone.code, 65)
    t.match(alone.out, '1 added, 0 updated, 0 as they were, 1 refused')
    t.match(alone.err, 'refused: bad: ')

    const large = join(home, 'large.csv')
    await writeFile(large, '')
    await truncate(large, 70 << 20)
    const refused = await cli(t, ['id', 'import', 'large.csv', '--root', root], given)
    t.equal(refused.code, 65)
    t.match(refused.err, /large\.csv is larger than 64 MiB/)

    const args = ['--host', '127.0.0.1', '--httpd-port', '0', '--id-port', '0', '--plugins', 'id']
    const server = await startServer(t, { root, args })
    const line = `pubkey,nickname\n${laptop(2).pubkey},"=Bob\nsays ""hello"""\n`
    const piped = await cli(t, ['id', 'import', '-', '--root', root], { ...given, input: line })
    t.equal(piped.code, 0)
    t.match(piped.out, '1 added')
    t.match(
      await cli(t, ['id', 'import', 'large.csv', '--root', root], given),
      { code: 65, err: /large\.csv is larger than 64 MiB/ },
      'with a server running the reason is the same',
    )
    const missing = await cli(t, ['id', 'import', 'nothing.csv', '--root', root], given)
    t.match(missing.err, /nothing\.csv cannot be read/)

    const listedNow = await cli(t, ['id', 'list', '--json', '--root', root], given)
    t.strictSame(
      (JSON.parse(listedNow.out) as { uid: string }[]).map(({ uid }) => uid).sort(),
      [uidOf(laptop(1)), uidOf(laptop(2))].sort(),
    )
    const exported = await cli(t, ['id', 'export', '--format', 'csv', '--root', root], given)
    t.match(readCsv(exported.out)[1]?.row ?? readCsv(exported.out)[0]?.row, { pubkey: /^ssh-ed25519 / })
    await server.stop()
  },
)

t.test('any table survives being written as CSV and read again', async () => {
  const cell = fc.oneof(
    fc.string({ unit: 'binary', maxLength: 20 }).filter((text) => text.isWellFormed()),
    fc.string({
      unit: fc.constantFrom('=', '+', '-', '@', "'", '"', '\t', '\r', '\n', ',', ' ', 'a', '\ufeff'),
      maxLength: 6,
    }),
  )
  const columns = ['uid', 'nickname', 'notes']
  const table = fc.array(fc.record({ uid: cell, nickname: cell, notes: cell }), { maxLength: 8 })
  fc.assert(
    fc.property(table, (rows) => {
      const read = readCsv(writeCsv(columns, rows)).map(({ row: { uid, nickname, notes } }) => ({
        uid,
        nickname,
        notes,
      }))
      const same = rows.map(({ uid, nickname, notes }) => ({ uid, nickname, notes }))
      return JSON.stringify(read) === JSON.stringify(same)
    }),
    runs(5000),
  )
})
