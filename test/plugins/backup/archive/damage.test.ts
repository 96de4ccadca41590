import { execFileSync } from 'node:child_process'
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { discard } from '../../../../plugins/backup/archive/discard.js'
import { drill } from '../../../../plugins/backup/archive/drill.js'
import { holdingsOf, snapshotsOf } from '../../../../plugins/backup/archive/holdings.js'
import type { Layout } from '../../../../plugins/backup/archive/layout.js'
import { Objects } from '../../../../plugins/backup/archive/objects.js'
import { prune } from '../../../../plugins/backup/archive/prune.js'
import { Shelf, shelved } from '../../../../plugins/backup/archive/shelf.js'
import { SnapshotTree } from '../../../../plugins/backup/archive/snapshot-tree.js'
import { sizeOfObjects, sweep } from '../../../../plugins/backup/archive/sweep.js'
import { verify } from '../../../../plugins/backup/archive/verify.js'
import type { FileRow, Row } from '../../../../plugins/backup/tree.js'
import { changeJournal } from '../../../../sugaroid/index.js'
import {
  facts,
  journalOf,
  learner,
  newArchive,
  objectNames,
  put,
  quiet,
  restore,
  sentJournal,
  snapshot,
} from '../../../support/backup/test-archive.js'

t.setTimeout(300_000)

const ana = learner(1)
const ben = learner(2)

const rowsOf = (layout: Layout, uid: string, id: string): Row[] => [
  ...new SnapshotTree(new Objects(layout.objects), new Shelf(layout, uid).read(id), '').rows(),
]

const fileAt = (rows: readonly Row[], path: string): FileRow => {
  const row = rows.find((one) => one.path === path)
  if (row?.type !== 'file') throw new Error(`${path} is no file`)
  return row
}

const objectOf = (layout: Layout, { content }: FileRow): string => {
  const lying = new Objects(layout.objects).find(String(content))
  if (lying === undefined) throw new Error('there is no object')
  return lying.path
}

/** Changes one bit in place, as a disk does: neither size nor time nor inode tell. */
function flip(path: string, where?: number): void {
  const { atime, mtime, mode } = statSync(path)
  const bytes = readFileSync(path)
  const at = where ?? bytes.length >> 1
  bytes.writeUInt8(bytes.readUInt8(at) ^ 4, at)
  chmodSync(path, 0o600)
  writeFileSync(path, bytes)
  chmodSync(path, mode)
  utimesSync(path, atime, mtime)
}

const noise = (bytes: number): Buffer =>
  execFileSync('head', ['-c', String(bytes), '/dev/urandom'], { maxBuffer: 1 << 24 })

/** What can be packed, each line another. */
const prose = Buffer.from(Array.from({ length: 9000 }, (_, line) => `line ${line}\n`).join(''))

const restoreAll = (layout: Layout, uid: string, id: string, to: string) => {
  const tree = new SnapshotTree(
    new Objects(layout.objects),
    new Shelf(layout, uid).read(id),
    'datastore-current',
  )
  return restore(tree, { to }, quiet)
}

t.test('a flipped bit is found, what it costs is named, and everything else is as it was', async (t) => {
  const layout = newArchive(t)
  const journal = journalOf(layout, ana)
  put(journal, 'picture', noise(100_000))
  put(journal, 'text', prose)
  put(journal, 'note', 'short')
  put(journalOf(layout, ben), 'other', noise(50_000))
  const { header: first } = await snapshot(layout, ana)
  rmSync(join(journal, 'picture'))
  const { header: second } = await snapshot(layout, ana)
  const { header: bens } = await snapshot(layout, ben)
  t.match(await verify(layout, quiet, { repair: false }), {
    snapshots: 3,
    objects: 3,
    damage: [],
    repaired: 0,
  })

  const rows = rowsOf(layout, ana, first.id)
  flip(objectOf(layout, fileAt(rows, 'datastore-current/picture')))
  const found = await verify(layout, quiet, { repair: false })
  t.match(found.damage, [
    { uid: ana, snapshot: first.id, path: 'datastore-current/picture', why: /is not what was put in/ },
  ])
  t.equal(found.damage.length, 1)
  const { lost } = await restoreAll(layout, ana, first.id, join(layout.root, 'lost'))
  t.strictSame(lost, ['picture'], 'a restore leaves out what is damaged, and names it')
  t.notOk(existsSync(join(layout.root, 'lost', 'picture')))
  await restoreAll(layout, ana, second.id, join(layout.root, 'second'))
  await restoreAll(layout, ben, bens.id, join(layout.root, 'bens'))
  t.strictSame(facts(join(layout.root, 'second')), facts(journal))
  const left = readdirSync(layout.root).filter((name) => name.startsWith('.'))
  t.strictSame(left, [], 'nothing is half restored')

  flip(objectOf(layout, fileAt(rows, 'datastore-current/text')))
  rmSync(objectOf(layout, fileAt(rowsOf(layout, ben, bens.id), 'datastore-current/other')))
  const more = await verify(layout, quiet, { repair: false })
  t.match(
    more.damage.map(({ uid, snapshot, path, why }) => [uid, snapshot, path, why]),
    [
      [ana, first.id, 'datastore-current/picture', /is not what/],
      [ana, first.id, 'datastore-current/text', /cannot be read|is not what/],
      [ana, second.id, 'datastore-current/text', /cannot be read|is not what/],
      [ben, bens.id, 'datastore-current/other', /is missing/],
    ].sort(),
  )
  t.match(await verify(layout, quiet, { repair: false, uids: [learner(3)] }), { snapshots: 0, damage: [] })
})

t.test(
  'what a live tree still has is put back; a damaged live file is told, so that it is sent anew',
  async (t) => {
    const layout = newArchive(t)
    const journal = journalOf(layout, ana)
    const [shared, single] = [noise(100_000), noise(80_000)]
    put(journal, 'single', single)
    put(journal, 'text', prose)
    put(journal, 'shared', shared)
    put(journalOf(layout, ben), 'shared', shared)
    const { header } = await snapshot(layout, ana)
    await snapshot(layout, ben)
    const rows = rowsOf(layout, ana, header.id)
    for (const name of ['single', 'text', 'shared'])
      flip(objectOf(layout, fileAt(rows, `datastore-current/${name}`)))
    const found = await verify(layout, quiet, { repair: true })
    t.equal(found.damage.length, 4)
    t.equal(
      found.repaired,
      2,
      "the text from the child's own tree, the shared picture from the other child's",
    )
    const paths = ['datastore-current/shared', 'datastore-current/single']
    t.strictSame(
      found.resend.map(({ uid, path }) => [uid, path]),
      paths.map((path) => [ana, path]),
      'both pictures were the damaged inodes themselves',
    )
    t.strictSame(readdirSync(journal).sort(), ['shared', 'single', 'text'], 'nothing goes without a note')
    t.match(
      (await verify(layout, quiet, { repair: true })).resend.map(({ path }) => path),
      ['datastore-current/single'],
      'whoever was stopped after that is told again',
    )
    put(journal, 'shared', shared)
    discard(layout, ana, found.resend)
    t.strictSame(readdirSync(journal).sort(), ['shared', 'text'], 'what was sent anew meanwhile stays')
    const after = await verify(layout, quiet, { repair: false })
    t.match(after.damage, [{ path: 'datastore-current/single', why: /is missing/ }])
    t.equal(after.damage.length, 1)

    put(journal, 'single', single)
    put(journal, 'shared', shared)
    await snapshot(layout, ana)
    t.strictSame(
      (await verify(layout, quiet, { repair: false })).damage,
      [],
      'the next backup mends the past',
    )
    for (const uid of [ana, ben])
      for (const id of new Shelf(layout, uid).ids()) new Shelf(layout, uid).remove(id)
    for (let rounds = 0; rounds < 3; rounds += 1) sweep(layout, quiet)
    const objects = readdirSync(layout.objects, { recursive: true }).filter(
      (name) => String(name).length > 60,
    )
    t.strictSame(objects, [], 'what was set aside goes when nobody needs it any more')
  },
)

t.test('a snapshot whose own file is damaged hides none before it, and blocks none after it', async (t) => {
  const layout = newArchive(t)
  const journal = await sentJournal(layout, ana, 20, 1)
  const { header: first } = await snapshot(layout, ana)
  await changeJournal(journal, { percent: 10 })
  const { header: second } = await snapshot(layout, ana)
  const shelf = new Shelf(layout, ana)
  truncateSync(shelf.path(second.id), 500)
  const found = await verify(layout, quiet, { repair: false })
  t.match(found.damage, [{ snapshot: second.id, why: /is not what was written/ }])
  t.notOk(found.damage[0]?.path)

  const third = await snapshot(layout, ana)
  t.equal(third.fresh, true, 'the Journal is as it was, but no whole snapshot says so')
  t.not(third.header.id, second.id)
  t.equal((await snapshot(layout, ana)).fresh, false)
  for (const { id } of [first, third.header]) await restoreAll(layout, ana, id, join(layout.root, id))
  const before = objectNames(layout)
  t.throws(() => sweep(layout, quiet), { code: 'DAMAGED', message: new RegExp(shelf.path(second.id)) })
  t.strictSame(objectNames(layout), before, 'nothing is removed that it might need')
  shelf.remove(second.id)
  sweep(layout, quiet)
  t.strictSame((await verify(layout, quiet, { repair: false })).damage, [])
})

t.test(
  'a damaged part of the newest snapshot is written anew by the next one, and mended by it',
  async (t) => {
    const layout = newArchive(t)
    await sentJournal(layout, ana, 40, 1)
    const { header } = await snapshot(layout, ana)
    const shelf = new Shelf(layout, ana)
    const { pieces } = shelf.read(header.id)
    const [first, second] = pieces
    const path = new Objects(layout.objects).find(first?.bundle ?? '')?.path ?? ''
    flip(path, (first?.at ?? 0) + 5)
    t.match((await verify(layout, quiet, { repair: false })).damage, [{ snapshot: header.id }])
    t.throws(() => sweep(layout, quiet), { code: 'DAMAGED' })
    const next = await snapshot(layout, ana)
    t.equal(next.fresh, true)
    const bundles = shelf.read(next.header.id).pieces.map(({ bundle }) => bundle)
    t.not(bundles[0], first?.bundle, 'what was damaged is written anew')
    t.equal(bundles[1], second?.bundle, 'what was not is carried on')
    const { damage } = await verify(layout, quiet, { repair: false })
    t.strictSame([...new Set(damage.map(({ snapshot }) => snapshot))], [header.id])
    t.match(await verify(layout, quiet, { repair: true }), { repaired: 1, damage: [] })
    t.strictSame(
      (await verify(layout, quiet, { repair: false })).damage,
      [],
      'and the old one is whole again',
    )
    sweep(layout, quiet)
    rmSync(path)
    t.equal((await snapshot(layout, ana)).fresh, true, 'as good when all of it is gone')
    t.match(await verify(layout, quiet, { repair: true }), { damage: [] })
  },
)

t.test('a sweep removes what no snapshot needs, and nothing else', async (t) => {
  const layout = newArchive(t)
  const journal = await sentJournal(layout, ana, 40, 2)
  await sentJournal(layout, ben, 20, 1, '2')
  const { header: first } = await snapshot(layout, ana)
  await snapshot(layout, ben)
  const bare = objectNames(layout)
  t.match(sweep(layout, quiet), { removed: 0, freed: 0, objects: bare.length })
  await changeJournal(journal, { percent: 50 })
  await snapshot(layout, ana)
  const both = objectNames(layout)
  t.match(sweep(layout, quiet), { removed: 0 })
  const shelf = new Shelf(layout, ana)
  shelf.remove(first.id)
  const needed = new Set(
    [ana, ben].flatMap((uid) =>
      new Shelf(layout, uid).ids().flatMap((id) => {
        const files = rowsOf(layout, uid, id).flatMap((row) => (row.type === 'file' ? [row.content] : []))
        return [...files, ...new Shelf(layout, uid).read(id).pieces.map(({ bundle }) => bundle)]
      }),
    ),
  )
  const wanted = both.filter((name) => needed.has(name))
  t.ok(wanted.length < both.length - 10)
  const size = sizeOfObjects(layout)
  const { removed, freed } = sweep(layout, quiet)
  t.equal(sizeOfObjects(layout), size - freed, 'what it tells as freed is free')
  // A set that errs about one name in 2,000 errs about others the next time.
  for (let rounds = 0; rounds < 5 && objectNames(layout).length > wanted.length; rounds += 1)
    sweep(layout, quiet)
  t.strictSame(objectNames(layout), wanted)
  t.ok(removed >= both.length - wanted.length - 2)
  t.strictSame((await verify(layout, quiet, { repair: false })).damage, [])

  mkdirSync(join(layout.objects, 'lost+found'))
  writeFileSync(join(layout.objects, 'README'), '')
  sweep(layout, quiet)
  t.ok(existsSync(join(layout.objects, 'README')), "files that are none of the archive's stay")
})

t.test('a drill restores the newest snapshot, compares every file, and finds damage', async (t) => {
  const layout = newArchive(t)
  await sentJournal(layout, ana, 30, 1)
  const { header } = await snapshot(layout, ana)
  put(journalOf(layout, ben), 'picture', noise(60_000))
  const { header: bens } = await snapshot(layout, ben)
  t.strictSame(await drill(layout, [ana, ben], quiet), [
    { uid: ana, snapshot: header.id, files: header.files, wrong: [] },
    { uid: ben, snapshot: bens.id, files: 1, wrong: [] },
  ])
  flip(objectOf(layout, fileAt(rowsOf(layout, ben, bens.id), 'datastore-current/picture')))
  t.match(await drill(layout, [ana, ben], quiet), [
    { wrong: [] },
    { uid: ben, wrong: [/is not what was put in/] },
  ])
  t.strictSame(readdirSync(layout.scratch), [], 'nothing is left of it')
})

t.test('an object that says it is larger than it can be is damage, and fills no memory', async (t) => {
  const layout = newArchive(t)
  put(journalOf(layout, ana), 'text', prose)
  const { header } = await snapshot(layout, ana)
  const row = fileAt(rowsOf(layout, ana, header.id), 'datastore-current/text')
  const path = objectOf(layout, row)
  const bomb = execFileSync('python3', [
    '-c',
    'import sys,zlib;c=zlib.compressobj(9,zlib.DEFLATED,-15);z=bytes(1<<20)\nfor i in range(300):sys.stdout.buffer.write(c.compress(z))\nsys.stdout.buffer.write(c.flush())',
  ])
  writeFileSync(path, bomb)
  t.ok(bomb.length < 1 << 20)
  t.throws(() => new Objects(layout.objects).read(String(row.content), row.size), { code: 'DAMAGED' })
  t.match((await verify(layout, quiet, { repair: false })).damage, [{ why: /is not what was put in/ }])
  const { lost } = await restoreAll(layout, ana, header.id, join(layout.root, 'bomb'))
  t.strictSame(lost, [row.path.replace('datastore-current/', '')])
})

t.test(
  "what befell one learner's snapshots, or lies there by chance, stops nothing for others",
  async (t) => {
    const layout = newArchive(t)
    const rules = { last: 1, daily: 0, weekly: 0, monthly: 0 }
    for (const uid of [ana, ben]) put(journalOf(layout, uid), 'note', `of ${uid}`)
    const { header } = await snapshot(layout, ana)
    await snapshot(layout, ben)
    writeFileSync(join(layout.allSnapshots, 'README'), '')
    mkdirSync(join(layout.allSnapshots, 'lost+found'))
    t.strictSame(shelved(layout), [ana, ben].sort())

    // A manifest that the disk does not give back.
    const path = new Shelf(layout, ana).path(header.id)
    rmSync(path)
    mkdirSync(path)
    t.match(snapshotsOf(layout, ana), [{ id: header.id, damaged: /cannot be read \(EISDIR\)/ }])
    t.match((await verify(layout, quiet, { repair: true })).damage, [{ uid: ana, snapshot: header.id }])
    t.equal((await snapshot(layout, ana)).fresh, true)
    t.equal(prune(layout, { rules, dryRun: false }, () => false).length, 3)
    t.throws(() => sweep(layout, quiet), { code: 'DAMAGED' })

    // A folder that the disk does not give back.
    rmSync(layout.snapshots(ana), { recursive: true })
    writeFileSync(layout.snapshots(ana), '')
    const holdings = holdingsOf(layout)
    t.match(
      holdings.find(({ uid }) => uid === ana),
      { snapshots: 0, damaged: /cannot be read \(ENOTDIR\)/ },
    )
    t.match(
      holdings.find(({ uid }) => uid === ben),
      { snapshots: 1, damaged: undefined },
    )
    t.match((await verify(layout, quiet, { repair: true })).damage, [{ uid: ana, snapshot: undefined }])
    t.match(
      prune(layout, { rules, dryRun: false }, () => false),
      [{ uid: ben, keep: true }],
    )
    t.throws(() => sweep(layout, quiet), { code: 'DAMAGED' })
  },
)
