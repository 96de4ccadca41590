import { randomBytes } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import t from 'tap'
import { decodeRows, encodeRows, inlineLimit } from '../../../../plugins/backup/archive/codec.js'
import type { Listed } from '../../../../plugins/backup/archive/listing.js'
import { type Manifest, readManifest, writeManifest } from '../../../../plugins/backup/archive/manifest.js'
import { checkOf, inGroups } from '../../../../plugins/backup/archive/pieces.js'
import { References } from '../../../../plugins/backup/archive/references.js'
import { isInside } from '../../../../plugins/backup/journal/path.js'
import type { Row } from '../../../../plugins/backup/tree.js'
import { runs } from '../../../support/rounds.js'

const folder = mkdtempSync(join(tmpdir(), 'sugar-formats-'))
t.teardown(() => rmSync(folder, { recursive: true, force: true }))

const component = fc
  .uint8Array({ minLength: 1, maxLength: 12 })
  .map((bytes) => Buffer.from(bytes).toString('latin1').replace(/[\0/]/g, 'x'))
  .filter((name) => name !== '.' && name !== '..')
const common = {
  path: fc.array(component, { maxLength: 4 }).map((parts) => parts.join('/')),
  mode: fc.nat(0o7777),
  seconds: fc.oneof(fc.integer(), fc.integer({ min: -(2 ** 40), max: 2 ** 40 })),
  nanos: fc.nat(999_999_999),
}
const inline = fc.uint8Array({ maxLength: inlineLimit }).map((bytes) => Buffer.from(bytes))
const name = fc
  .uint8Array({ minLength: 32, maxLength: 32 })
  .map((bytes) => Buffer.from(bytes).toString('hex'))
const row: fc.Arbitrary<Row> = fc.oneof(
  fc.record({ ...common, type: fc.constant('directory' as const) }),
  fc.record({ ...common, type: fc.constant('link' as const), target: component }),
  fc.record({ ...common, type: fc.constant('file' as const), size: fc.maxSafeNat(), content: name }),
  fc
    .record({ ...common, type: fc.constant('file' as const), content: inline })
    .map((file) => ({ ...file, size: file.content.length })),
)
const sorted = fc
  .uniqueArray(row, { maxLength: 40, selector: ({ path }) => path })
  // Records of fast-check have no prototype.
  .map((rows) => rows.map((one) => ({ ...one })).sort((a, b) => (a.path < b.path ? -1 : 1)))

t.test('rows come out of a piece as they went in', async (t) => {
  fc.assert(
    fc.property(sorted, (rows) => {
      t.strictSame([...decodeRows(encodeRows(rows))], rows)
    }),
  )
})

/** Whatever bytes there are, they are rows that no file system would refuse, or an error that says so. */
function isSafe(bytes: Buffer): boolean {
  try {
    let before: string | undefined
    for (const { path, mode, seconds, nanos } of decodeRows(bytes)) {
      if (!isInside(path) || (before !== undefined && path <= before)) return false
      if (mode > 0o7777 || nanos > 999_999_999 || Math.abs(seconds) > 2 ** 40) return false
      before = path
    }
    return true
  } catch (error) {
    return (error as { code?: string }).code === 'DAMAGED'
  }
}

t.test('any other bytes are refused, and never lead out of the tree', async () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => isSafe(Buffer.from(bytes))),
    runs(2000),
  )
  fc.assert(
    fc.property(sorted, fc.nat(), fc.integer({ min: 1, max: 255 }), fc.boolean(), (rows, at, flip, cut) => {
      const bytes = encodeRows(rows)
      if (bytes.length === 0) return true
      const place = at % bytes.length
      if (cut) return isSafe(bytes.subarray(0, place))
      bytes.writeUInt8(bytes.readUInt8(place) ^ flip, place)
      return isSafe(bytes)
    }),
    runs(2000),
  )
})

t.test('a path that leads out is damage, wherever it stands', async (t) => {
  const plain = { type: 'directory' as const, mode: 0o755, seconds: 0, nanos: 0 }
  for (const path of [
    '../x',
    'a/../../x',
    '/etc',
    'a//b',
    'a/',
    '.',
    '..',
    'a/..',
    'a\n/../b',
    'nul\0',
    'x'.repeat(4097),
  ])
    t.throws(
      () => [...decodeRows(encodeRows([{ ...plain, path }]))],
      { code: 'DAMAGED' },
      JSON.stringify(path),
    )
  t.doesNotThrow(() => [...decodeRows(encodeRows([{ ...plain, path: 'a\n..b/...' }]))])
})

t.test('a change in one place leaves most pieces as they were', async (t) => {
  const cut = (listed: readonly Listed[]): string[] => [...inGroups(listed)].map(checkOf)
  const rows = Array.from({ length: 10_000 }, (_, index): Listed => {
    const path = `d${String(index).padStart(6, '0')}`
    const times = { seconds: index, nanos: 0, changed: 0, changedNanos: 0 }
    return { type: 'directory', path, lies: path, mode: 0o755, size: 4096, target: '', ...times }
  })
  t.strictSame([...inGroups(rows)].flat(), rows)
  t.strictSame([...inGroups([])], [])
  const before = new Set(cut(rows))
  t.ok(before.size > 80 && before.size < 320, `${before.size} pieces`)
  for (const changed of [
    rows.toSpliced(5000, 1),
    rows.map((one, index) => (index === 77 ? { ...one, mode: 0 } : one)),
  ])
    t.ok(cut(changed).filter((piece) => !before.has(piece)).length <= 2)
})

const header: Manifest['header'] = {
  journal: 1,
  id: '2026-11-20T10-11-12Z',
  uid: 'ab'.repeat(20),
  at: '2026-11-20T10:11:12.000Z',
  seen: [1, 2],
  entries: 3,
  files: 4,
  bytes: 5,
  added: 6,
  digest: 'cd'.repeat(32),
}

t.test('a byte that is missing, changed or too many in a manifest is noticed, each of them', async (t) => {
  const path = join(folder, 'manifest')
  const hex = (bytes: number) => randomBytes(bytes).toString('hex')
  const [one, other] = [hex(32), hex(32)]
  const pieces = [one, other, one].map((bundle, at) => {
    return { bundle, at, length: 2 ** 32 - 1, sum: hex(16), check: hex(8) }
  })
  writeManifest(path, { header, pieces }, join(folder, 'scratch'))
  t.strictSame(readManifest(path), { header, pieces })
  const whole = readFileSync(path)
  const damaged = join(folder, 'damaged')
  const refused = (bytes: Buffer): boolean => {
    writeFileSync(damaged, bytes)
    try {
      readManifest(damaged)
      return false
    } catch (error) {
      return (error as { code?: string }).code === 'DAMAGED'
    }
  }
  const missed: string[] = []
  for (let at = 0; at < whole.length; at += 1) {
    const flipped = Buffer.from(whole)
    flipped.writeUInt8(flipped.readUInt8(at) ^ (1 << (at % 8)), at)
    if (!refused(flipped)) missed.push(`flip at ${at}`)
    if (!refused(whole.subarray(0, at))) missed.push(`cut at ${at}`)
  }
  t.strictSame(missed, [])
  t.ok(refused(Buffer.concat([whole, Buffer.alloc(1)])))
  t.ok(refused(randomBytes(1000)))
})

t.test('a set of references never forgets a name, and seldom makes one up', async (t) => {
  const names = Array.from({ length: 20_000 }, () => randomBytes(32).toString('hex'))
  const strangers = Array.from({ length: 20_000 }, () => randomBytes(32).toString('hex'))
  const made: string[][] = []
  for (let round = 0; round < 3; round += 1) {
    const set = new References(names.length)
    for (const one of names) set.add(one)
    t.ok(names.every((one) => set.mayHave(one)))
    made.push(strangers.filter((one) => set.mayHave(one)))
    t.ok((made.at(-1)?.length ?? 0) < 60, `${made.at(-1)?.length} of 20,000`)
  }
  const [first = [], second = []] = made
  t.ok(first.filter((one) => second.includes(one)).length <= first.length / 2, 'each set errs about others')
  fc.assert(
    fc.property(fc.array(name, { maxLength: 300 }), fc.nat(5), (some, most) => {
      const set = new References(most)
      for (const one of some) set.add(one)
      return some.every((one) => set.mayHave(one))
    }),
  )
})
