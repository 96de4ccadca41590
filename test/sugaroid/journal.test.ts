import { createHash } from 'node:crypto'
import { chmod, mkdir, readdir, readFile, stat, symlink, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { crc32, deflateSync, inflateSync } from 'node:zlib'
import fc from 'fast-check'
import t from 'tap'
import {
  changeJournal,
  datastoreOf,
  differences,
  digestJournal,
  entryPath,
  listEntries,
  makeJournal,
  openIdentity,
  takeInventory,
  wipeJournal,
} from '../../sugaroid/index.js'
import { runs } from '../support/rounds.js'
import { noPython, python, sugaroid } from '../support/sugaroid/fake-servers.js'
import { temporaryDirectory } from '../support/temporary-directory.js'

t.setTimeout(300_000)

const property = (datastore: string, uid: string, name: string) =>
  readFile(join(entryPath(datastore, uid), 'metadata', name))

/** Checks every chunk of a PNG and unpacks its pixels; throws for one that is damaged. */
function openPng(png: Buffer): { width: number; height: number; pixels: Buffer; kinds: string[] } {
  if (png.subarray(0, 8).toString('hex') !== '89504e470d0a1a0a') throw new Error('no signature')
  const chunks: [string, Buffer][] = []
  for (let at = 8; at < png.length; ) {
    const length = png.readUInt32BE(at)
    const body = png.subarray(at + 4, at + 8 + length)
    if (crc32(body) !== png.readUInt32BE(at + 8 + length)) throw new Error('a wrong sum')
    chunks.push([body.subarray(0, 4).toString('latin1'), body.subarray(4)])
    at += length + 12
  }
  const found = Object.fromEntries(chunks)
  const header = found.IHDR ?? Buffer.alloc(13)
  return {
    width: header.readUInt32BE(0),
    height: header.readUInt32BE(4),
    pixels: inflateSync(found.IDAT ?? Buffer.alloc(0)),
    kinds: chunks.map(([kind]) => kind),
  }
}

t.test('a Journal has the layout, the properties and the previews that Sugar gives it', async (t) => {
  const datastore = await temporaryDirectory(t)
  const made = await makeJournal(datastore, { entries: 80, megabytes: 2 })
  t.equal(made.entries, 80)
  t.ok(made.bytes > 1_990_000 && made.bytes < 2_010_000, 'as much data as was asked for')
  t.equal(await readFile(join(datastore, 'version'), 'utf8'), '6')
  for (const name of ['ds_clean', 'index_updated']) t.equal((await stat(join(datastore, name))).size, 0)
  const uids = await listEntries(datastore)
  t.equal(uids.length, 80)

  let withData = 0
  let shrunk = 0
  for (const uid of uids) {
    t.match(uid, /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
    const place = entryPath(datastore, uid)
    t.equal(place, join(datastore, uid.slice(0, 2), uid))
    const names = await readdir(join(place, 'metadata'))
    t.ok(names.length >= 15 && names.length <= 20, `${names.length} properties`)
    const text = async (name: string) => (await property(datastore, uid, name)).toString()
    t.equal(await text('uid'), uid)
    const seconds = Number(await text('timestamp'))
    t.equal(await text('mtime'), new Date(seconds * 1000).toISOString().slice(0, 19))
    t.ok(Number(await text('creation_time')) <= seconds)
    t.match(await text('icon-color'), /^#[0-9A-F]{6},#[0-9A-F]{6}$/)
    t.type(JSON.parse(await text('buddies')), 'object')
    t.match(await text('launch-times'), /^\d+(, \d+)+$/)
    if (names.includes('preview')) {
      const { width, height, pixels, kinds } = openPng(await property(datastore, uid, 'preview'))
      t.same([width, height, pixels.length], [300, 225, 225 * 301])
      t.same(kinds, ['IHDR', 'PLTE', 'IDAT', 'IEND'])
    }
    if (!names.includes('checksum')) {
      t.notOk((await readdir(place)).includes('data'), 'metadata alone')
      continue
    }
    withData++
    const data = await readFile(join(place, 'data'))
    t.equal((await stat(join(place, 'data'))).mode & 0o777, 0o444)
    t.equal(await text('filesize'), String(data.length))
    const checksum = createHash('md5').update(data).digest('hex')
    t.equal(await text('checksum'), checksum)
    t.same(await readdir(join(datastore, 'checksums', checksum)), [uid])
    if (deflateSync(data).length < data.length * 0.7) shrunk++
  }
  t.ok(withData > 60 && withData < 80, 'some entries have no data')
  t.ok(shrunk > withData / 4 && shrunk < (withData * 3) / 4, 'some data packs well, some does not')
  const titles = await Promise.all(uids.map(async (uid) => String(await property(datastore, uid, 'title'))))
  t.ok(titles.some((title) => /[á-ú]/.test(title)) && titles.some((title) => /[^\u0000-\u024f]/u.test(title)))
})

t.test('the same seed makes and changes the same Journal, another seed another', async (t) => {
  const [first, second, third] = [
    await temporaryDirectory(t),
    await temporaryDirectory(t),
    await temporaryDirectory(t),
  ]
  const digest = async (datastore: string) => (await digestJournal(datastore)).sha256
  for (const datastore of [first, second]) await makeJournal(datastore, { entries: 20, seed: 'a' })
  await makeJournal(third, { entries: 20, seed: 'b' })
  t.equal(await digest(first), await digest(second))
  t.not(await digest(first), await digest(third))
  const before = await takeInventory(first)
  for (const datastore of [first, second]) await changeJournal(datastore, { percent: 30 })
  t.equal(await digest(first), await digest(second))
  t.ok(differences(before, await takeInventory(first)).length > 0)
  const files = (inventory: ReadonlyMap<string, string>) =>
    new Map([...inventory].filter(([, what]) => what.startsWith('file')))
  t.same(differences(files(await takeInventory(first)), files(await takeInventory(second))), [])
})

t.test('a day at school changes as much as was asked for, and the next day something else', async (t) => {
  const datastore = await temporaryDirectory(t)
  await makeJournal(datastore, { entries: 90, megabytes: 1 })
  const uids = new Set(await listEntries(datastore))
  const before = await takeInventory(datastore)
  const changes = await changeJournal(datastore, { percent: 20 })
  t.strictSame(changes, { renamed: 8, rewritten: 6, added: 3, removed: 1 })

  const now = new Set(await listEntries(datastore))
  t.equal([...now].filter((uid) => !uids.has(uid)).length, 3)
  t.equal([...uids].filter((uid) => !now.has(uid)).length, 1)
  const touched = differences(before, await takeInventory(datastore))
  const held = [...uids].filter((uid) => now.has(uid))
  const has = (uid: string, name: string) =>
    touched.some((line) => line.startsWith(`${uid.slice(0, 2)}/${uid}/${name}:`))
  t.equal(held.filter((uid) => has(uid, 'data')).length, 6, 'data rewritten')
  t.equal(held.filter((uid) => has(uid, 'metadata/timestamp')).length, 14, 'saved, later than before')
  for (const uid of held.filter((uid) => has(uid, 'data'))) {
    const data = await readFile(join(entryPath(datastore, uid), 'data'))
    const checksum = createHash('md5').update(data).digest('hex')
    t.equal(String(await property(datastore, uid, 'checksum')), checksum)
    t.same(await readdir(join(datastore, 'checksums', checksum)), [uid])
  }
  t.notOk(
    touched.some((line) => line.includes('/.')),
    'no temporary file is left',
  )

  const marks = (await readdir(join(datastore, 'checksums'))).filter((name) => name !== 'queue').sort()
  const names = await Promise.all(
    [...now].map(async (uid) => property(datastore, uid, 'checksum').catch(() => '')),
  )
  t.same(marks, names.map(String).filter(Boolean).sort(), 'checksums of what is there, and of nothing else')

  const afternoon = await takeInventory(datastore)
  await changeJournal(datastore, { percent: 1 })
  t.ok(differences(afternoon, await takeInventory(datastore)).length > 0)
})

t.test('a reflash loses the Journal and not the key', async (t) => {
  const home = await temporaryDirectory(t)
  const datastore = datastoreOf(home)
  const { uid } = await openIdentity(home, { key: 'ed25519' })
  await makeJournal(datastore, { entries: 3 })
  await t.rejects(makeJournal(datastore, { entries: 3 }), { name: 'HomeError', hint: /--change.*--wipe/ })
  await wipeJournal(datastore)
  t.same(await readdir(datastore), [])
  t.equal((await openIdentity(home)).uid, uid)
  await t.rejects(changeJournal(datastore, { percent: 5 }), { name: 'HomeError', hint: /--entries/ })
  await makeJournal(datastore, { entries: 3 })
})

const digestInPython = `
import hashlib, json, os, sys
top = os.fsencode(sys.argv[1])
rows = []
for folder, _, names in os.walk(top):
    for name in names:
        path = os.path.join(folder, name)
        if os.path.isfile(path) and not os.path.islink(path):
            found = os.stat(path)
            rows.append((os.path.relpath(path, top), found.st_size, found.st_mtime_ns // 10**9))
digest = hashlib.sha256()
for path, size, seconds in sorted(rows):
    digest.update(path + b'\\0' + str(size).encode() + b'\\0' + str(seconds).encode() + b'\\n')
print(json.dumps([digest.hexdigest(), len(rows), sum(row[1] for row in rows)]))
`

t.test(
  'Python computes the same digest over a Journal and over odd names and times',
  { skip: noPython },
  async (t) => {
    const datastore = await temporaryDirectory(t)
    await makeJournal(datastore, { entries: 30 })
    const odd = join(datastore, 'odd')
    await mkdir(join(odd, 'a'), { recursive: true })
    for (const name of ['a.b', 'a-b', 'a/b', 'ñ', '学', 'two\nlines', '\u{1f382}', '\uffee']) {
      await writeFile(join(odd, name), name)
    }
    await writeFile(Buffer.concat([Buffer.from(`${odd}/`), Buffer.from([0xff, 0xfe, 0x80])]), 'no UTF-8')
    await utimes(join(odd, 'a.b'), 0, -1.5)
    await utimes(join(odd, 'a-b'), 0, 4_294_967_296.25)
    await utimes(join(odd, 'ñ'), 0, 1_700_000_000.999999)
    await symlink('a.b', join(odd, 'link'))
    await symlink('a', join(odd, 'folder'))
    const { sha256, files, bytes } = await digestJournal(datastore)
    t.same(await python(digestInPython, [datastore]), [sha256, files, bytes])
  },
)

t.test('the digest tells apart what rsync tells apart, and nothing else', async (t) => {
  const file = fc.record({
    name: fc.stringMatching(/^[a-c](\.[a-c])?$/),
    size: fc.integer({ min: 0, max: 2 }),
    time: fc.integer({ min: 0, max: 2 }),
  })
  const files = fc.uniqueArray(file, { selector: ({ name }) => name, maxLength: 4 })
  const put = async (rows: { name: string; size: number; time: number }[]) => {
    const datastore = await temporaryDirectory(t)
    for (const { name, size, time } of rows) {
      await writeFile(join(datastore, name), 'x'.repeat(size))
      await utimes(join(datastore, name), time, time)
    }
    return (await digestJournal(datastore)).sha256
  }
  const known = new Map<string, string>()
  await fc.assert(
    fc.asyncProperty(files, async (rows) => {
      const sorted = JSON.stringify([...rows].sort((a, b) => (a.name < b.name ? -1 : 1)))
      const digest = await put(rows)
      return (known.get(digest) ?? sorted) === sorted && Boolean(known.set(digest, sorted))
    }),
    runs(100),
  )
  t.equal(await put([]), createHash('sha256').digest('hex'), 'an empty one has a digest, too')
})

t.test('an inventory tells what differs: names, contents, modes, times', async (t) => {
  const directory = await temporaryDirectory(t)
  for (const name of ['content', 'mode', 'time', 'gone', 'same']) {
    await writeFile(join(directory, name), '1')
    await utimes(join(directory, name), 5, 5)
  }
  const before = await takeInventory(directory)
  await writeFile(join(directory, 'content'), '2')
  await utimes(join(directory, 'content'), 5, 5)
  await chmod(join(directory, 'mode'), 0o600)
  await utimes(join(directory, 'time'), 5, 6)
  await symlink('same', join(directory, 'new'))
  const after = new Map(await takeInventory(directory))
  after.delete('gone')
  t.match(differences(before, after), [
    /^content: file.*sha256/,
    /^gone: .*nothing$/,
    /^mode: .*mode 644.*mode 600/,
    /^new: nothing; then link to same$/,
    /^time: .*time 5.*time 6/,
  ])
  t.same(differences(before, before), [])
})

t.test('the command makes, changes and loses, and refuses what makes no sense', async (t) => {
  const home = await temporaryDirectory(t)
  const run = (...args: string[]) => sugaroid('journal', '--home', home, ...args)
  t.match(await run('--entries', '5', '--megabytes', '0.1', '--seed', 'x'), {
    code: 0,
    out: /^A Journal is there\.\n.*files +\d+\n.*digest +[0-9a-f]{64}\n$/s,
  })
  t.match(await run('--entries', '5'), { code: 74, err: /already\n {2}change it with --change/ })
  const changed = await run('--change', '40', '--json')
  t.match(JSON.parse(changed.out), { renamed: 1, rewritten: 1, digest: /^[0-9a-f]{64}$/ })
  t.match(await run('--wipe', '--entries', '2'), { code: 0, out: /^A Journal is there/ })
  t.match(await run('--wipe'), { code: 0, out: /^The Journal is gone\.\n.*files +0\n/s })
  for (const args of [
    [],
    ['--entries', '0'],
    ['--entries', '1e3'],
    ['--entries', '2.5'],
    ['--change', '0'],
    ['--change', '101'],
    ['--change', '5', '--wipe'],
    ['--megabytes', '5'],
  ]) {
    t.equal((await run(...args)).code, 64, args.join(' '))
  }
})
