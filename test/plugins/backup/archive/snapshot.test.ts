import { execFileSync } from 'node:child_process'
import {
  chmodSync,
  chownSync,
  copyFileSync,
  linkSync,
  mkdirSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  unlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { jobsOf } from '../../../../plugins/backup/archive/jobs.js'
import { Objects } from '../../../../plugins/backup/archive/objects.js'
import { Shelf } from '../../../../plugins/backup/archive/shelf.js'
import { takeSnapshot } from '../../../../plugins/backup/archive/snapshot.js'
import { SnapshotTree } from '../../../../plugins/backup/archive/snapshot-tree.js'
import { changeJournal, digestJournal } from '../../../../sugaroid/index.js'
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
  usage,
} from '../../../support/backup/test-archive.js'

t.setTimeout(300_000)

const ana = learner(1)
const ben = learner(2)

t.test('a first snapshot has everything, and tells what a laptop would ask for', async (t) => {
  const layout = newArchive(t)
  const journal = await sentJournal(layout, ana, 60)
  put(layout.live(ana), 'documents/letter.txt', 'Dear world')
  const { header, fresh, held } = await snapshot(layout, ana)
  t.match({ fresh, held }, { fresh: true, held: undefined })
  const { sha256, bytes, files } = await digestJournal(journal)
  t.equal(header.digest, sha256, 'the digest is that of the laptop')
  t.match(header, { uid: ana, entries: 60, files: files + 1, bytes: bytes + 'Dear world'.length })

  const shelf = new Shelf(layout, ana)
  const tree = new SnapshotTree(new Objects(layout.objects), shelf.read(header.id), '')
  const to = join(layout.root, 'restored')
  await restore(tree, { to }, quiet)
  t.strictSame(
    facts(to, 'datastore-current', 'documents'),
    facts(layout.live(ana), 'datastore-current', 'documents'),
  )
})

t.test('a Journal that is as it was costs not one byte and not one inode', async (t) => {
  const layout = newArchive(t)
  const journal = await sentJournal(layout, ana, 60)
  execFileSync('mkfifo', [join(journal, 'pipe')])
  const { header } = await snapshot(layout, ana)
  const before = usage(layout)
  for (let count = 0; count < 3; count += 1) {
    const again = await snapshot(layout, ana)
    t.strictSame(again, { header, fresh: false })
  }
  t.strictSame(usage(layout), before, 'a fifo, which is left out, makes no difference')
})

t.test('of files that the kernel has not touched since the last snapshot none is read', async (t) => {
  const layout = newArchive(t)
  await sentJournal(layout, ana, 30)
  await snapshot(layout, ana)
  const atimes = () =>
    execFileSync('find', [layout.live(ana), '-type', 'f', '-printf', '%p %A@\n'], { encoding: 'latin1' })
  execFileSync('find', [layout.live(ana), '-type', 'f', '-exec', 'touch', '-a', '-d', '@1', '{}', '+'])
  // That was a change, by the kernel's clock; the snapshot that knows it has to be a new one.
  put(journalOf(layout, ana), 'mark', 'x')
  t.equal((await snapshot(layout, ana)).fresh, true)
  const before = atimes()
  t.equal((await snapshot(layout, ana)).fresh, false)
  t.equal(atimes(), before)
})

t.test('when 1 % of 2,000 entries changed, that much and 200 KB at most are added', async (t) => {
  const layout = newArchive(t)
  const journal = await sentJournal(layout, ana, 2000, 20)
  const { header } = await snapshot(layout, ana)
  t.equal(header.entries, 2000)
  const before = usage(layout)
  const stamp = join(layout.root, 'stamp')
  writeFileSync(stamp, '')
  await changeJournal(journal, { percent: 1, seed: '7' })
  const sizes = execFileSync(
    'find',
    [journal, '-type', 'f', '-newerct', `@${statSync(stamp).mtimeMs / 1000}`, '-printf', '%s\n'],
    {
      encoding: 'latin1',
    },
  )
  const changed = sizes
    .trim()
    .split('\n')
    .reduce((sum, size) => sum + Number(size), 0)
  const { header: second, fresh } = await snapshot(layout, ana)
  t.equal(fresh, true)
  t.ok(changed > 0)
  const added = usage(layout).bytes - before.bytes
  t.comment(`${changed} bytes changed, ${added} added on the disk, ${second.added} told`)
  t.ok(second.added <= changed + 200_000, `${second.added} told for ${changed}`)
  t.ok(added <= changed + 200_000, `${added} added for ${changed}`)
})

t.test(
  'names of any bytes, empty files, all modes, exact times and links come back as they were',
  async (t) => {
    const layout = newArchive(t)
    const journal = journalOf(layout, ana)
    for (let byte = 1; byte < 256; byte += 1) {
      if (byte !== 0x2f && byte !== 0x2e) put(journal, Buffer.from([byte, 0x2e, byte]), `byte ${byte}`)
    }
    put(journal, 'line\nbreak', '')
    put(journal, 'n'.repeat(255), 'x'.repeat(513))
    const deep = Array.from({ length: 12 }, () => 'deep'.repeat(20)).join('/')
    put(journal, `${deep}/file`, 'far down')
    put(journal, 'large', Buffer.alloc(9 << 20, 'soft'))
    put(journal, 'noise', execFileSync('head', ['-c', '9000000', '/dev/urandom'], { maxBuffer: 1 << 24 }))
    for (const mode of [0o000, 0o400, 0o444, 0o755, 0o777]) put(journal, `mode ${mode}`, `${mode}`)
    for (const mode of [0o000, 0o400, 0o444, 0o755, 0o777]) chmodSync(join(journal, `mode ${mode}`), mode)
    symlinkSync('/rsyncd-munged/../n', join(journal, 'link'))
    symlinkSync(`/rsyncd-munged/${'long/'.repeat(100)}`, join(journal, 'long link'))
    for (const [name, time] of [
      ['2038', '2040-02-29 12:00:00.123456789'],
      ['2106', '2150-01-01 00:00:00.000000001'],
      ['1970', '1970-01-01 00:00:00'],
      ['1969', '1969-12-31 23:59:59.750000000'],
      ['1950', '1950-06-01 00:00:00.999999999'],
    ] as const) {
      put(journal, name, name)
      execFileSync('touch', ['-d', `${time} UTC`, join(journal, name)])
    }
    execFileSync('touch', ['-h', '-d', '2001-01-01 UTC', join(journal, 'link')])
    execFileSync('touch', ['-d', '2002-02-02 02:02:02.2 UTC', journal])

    const { header } = await snapshot(layout, ana)
    const shelf = new Shelf(layout, ana)
    const tree = new SnapshotTree(new Objects(layout.objects), shelf.read(header.id), 'datastore-current')
    const links = [...tree.rows()].flatMap((row) => (row.type === 'link' ? [row.target] : []))
    t.strictSame(links, ['../n', 'long/'.repeat(100)], "the server's mark is no part of it")
    const to = join(layout.root, 'restored')
    const { skipped } = await restore(tree, { to }, quiet)
    t.strictSame(skipped, ['link'], 'a link that leads out is not made')
    unlinkSync(join(journal, 'link'))
    execFileSync('touch', ['-d', '2002-02-02 02:02:02.2 UTC', journal])
    const unmunged = facts(journal).map((fact) => fact.replace('|/rsyncd-munged/', '|'))
    t.strictSame(facts(to), unmunged)
  },
)

t.test('a school shares contents; live trees share no inode', async (t) => {
  const layout = newArchive(t)
  const book = execFileSync('head', ['-c', '300000', '/dev/urandom'])
  const text = Buffer.alloc(300_000, 'soft text ')
  for (const uid of [ana, ben]) {
    put(journalOf(layout, uid), 'book', book)
    put(journalOf(layout, uid), 'copy', book)
    put(journalOf(layout, uid), 'text', text)
  }
  await snapshot(layout, ana)
  const before = usage(layout)
  const { header } = await snapshot(layout, ben)
  t.ok(header.added < 1000, `${header.added} bytes for the second learner`)
  t.ok(usage(layout).bytes - before.bytes < 20_000)
  const inodes = [ana, ben].flatMap((uid) =>
    ['book', 'copy', 'text'].map((name) => statSync(join(journalOf(layout, uid), name)).ino),
  )
  t.equal(new Set(inodes).size, 6, 'what one child writes never shows at another')
  const links = [ana, ben].map((uid) => statSync(join(journalOf(layout, uid), 'book')).nlink)
  t.strictSame(links, [2, 1], 'what cannot be packed is one inode with the live file it came from')
})

t.test('what rsync sets on a live file later leaves the snapshots as they were', async (t) => {
  const layout = newArchive(t)
  const journal = journalOf(layout, ana)
  const content = execFileSync('head', ['-c', '100000', '/dev/urandom'])
  put(journal, 'picture', content)
  const { header } = await snapshot(layout, ana)
  t.ok(header.added < 1000, `${header.added} bytes: the picture is there anyway`)
  utimesSync(join(journal, 'picture'), 1000, 1000)
  chmodSync(join(journal, 'picture'), 0o600)
  t.equal((await snapshot(layout, ana)).fresh, true, 'another time and mode are a change')
  put(journal, 'picture', 'another picture')
  await snapshot(layout, ana)
  const shelf = new Shelf(layout, ana)
  const [first, second, third] = shelf.ids().map((id) => {
    const tree = new SnapshotTree(new Objects(layout.objects), shelf.read(id), 'datastore-current')
    for (const row of tree.rows()) {
      if (row.type === 'file') return { seconds: row.seconds, mode: row.mode, bytes: tree.read(row, 1 << 20) }
    }
    return undefined
  })
  t.equal(shelf.ids()[0], header.id)
  t.match(first, { mode: 0o644, bytes: content })
  t.match(second, { mode: 0o600, seconds: 1000, bytes: content })
  t.match(third, { bytes: Buffer.from('another picture') })
})

t.test('a change is seen whatever the clock of the server says', async (t) => {
  const layout = newArchive(t)
  const journal = journalOf(layout, ana)
  put(journal, 'diary', 'a'.repeat(600))
  const read = async () => {
    const { header } = await snapshot(layout, ana)
    const tree = new SnapshotTree(new Objects(layout.objects), new Shelf(layout, ana).read(header.id), '')
    for (const row of tree.rows())
      if (row.type === 'file') return tree.read(row, 1000).toString('latin1', 0, 1)
    return undefined
  }
  t.equal(await read(), 'a')
  const real = Date.now
  t.teardown(() => {
    Date.now = real
  })
  // The last snapshot was taken by a clock that is ten years ahead.
  Date.now = () => real() + 315_360_000_000
  put(journal, 'diary', 'b'.repeat(600))
  t.equal(await read(), 'b')
  Date.now = real
  const time = statSync(join(journal, 'diary')).mtime
  put(journal, 'diary', 'c'.repeat(600))
  utimesSync(join(journal, 'diary'), time, time)
  t.equal(await read(), 'c', 'not even where size and time are as they were')
  // And one taken by a right clock, after a change by one that had begun at 1970: its own time tells.
  Date.now = () => real() + 1000
  await read()
  Date.now = () => real() + 2000
  put(journal, 'diary', 'd'.repeat(600))
  utimesSync(join(journal, 'diary'), 5000, 5000)
  t.equal(await read(), 'd')
})

t.test('ids stay in order and can be read, whatever the clock does', async (t) => {
  const layout = newArchive(t)
  put(journalOf(layout, ana), 'x', 'x')
  await snapshot(layout, ana)
  const shelf = new Shelf(layout, ana)
  const folder = layout.snapshots(ana)
  const [first = ''] = shelf.ids()
  const ids: string[] = []
  const times = ['1970-01-01', '2106-02-07T06:28:16', '2026-11-20', '1970-01-01', '1970-01-01', '2150-01-01']
  for (const time of [...times, ...Array.from({ length: 30 }, () => '1980-01-01')]) {
    const id = shelf.newId(new Date(`${time}Z`.replace(/^(.{10})Z$/, '$1T00:00:00Z')))
    copyFileSync(join(folder, `${first}.snapshot`), join(folder, `${id}.snapshot`))
    ids.push(id)
  }
  t.strictSame(shelf.ids(), [first, ...ids], 'in the order in which they came')
  const last = ids.at(-1) ?? ''
  renameSync(join(folder, `${last}.snapshot`), join(folder, '2150-01-01T00-00-00Z_99999.snapshot'))
  t.equal(shelf.newId(new Date(0)), '2150-01-01T00-00-00Z_100000')
  t.ok(shelf.path('2150-01-01T00-00-00Z_100000'))
  for (const id of ['../x', 'x', '', '2026-11-20T00-00-00Z/../x', '2026-11-20'])
    t.throws(() => shelf.path(id), { code: 'NOT_FOUND' })
})

t.test('a Journal that somebody writes while it is read is refused, and nothing of it is kept', async (t) => {
  const layout = newArchive(t)
  const journal = journalOf(layout, ana)
  for (const name of ['a', 'b', 'c']) put(journal, name, name.repeat(10_000))
  let steps = 0
  const removing = {
    step() {
      steps += 1
      // The directory itself comes first.
      if (steps === 2) rmSync(join(journal, 'c'))
    },
  }
  await t.rejects(takeSnapshot(layout, ana, removing), { code: 'UNAVAILABLE' })
  t.strictSame([new Shelf(layout, ana).ids(), objectNames(layout), readdirSync(layout.scratch)], [[], [], []])
  put(journal, 'c', 'c'.repeat(10_000))
  t.equal((await snapshot(layout, ana)).fresh, true)
})

t.test('a file with too many names is copied', async (t) => {
  const layout = newArchive(t)
  const journal = journalOf(layout, ana)
  const content = execFileSync('head', ['-c', '10000', '/dev/urandom'])
  put(journal, 'busy', content)
  const names = join(layout.root, 'names')
  mkdirSync(names)
  try {
    for (let count = 0; count < 65_536; count += 1) linkSync(join(journal, 'busy'), join(names, `${count}`))
    t.pass('this file system has no limit')
  } catch (error) {
    t.match(error, { code: 'EMLINK' })
  }
  const { header } = await snapshot(layout, ana)
  t.equal(header.files, 1)
  rmSync(names, { recursive: true })
})

t.test('times that no manifest can hold come as near as can be', async (t) => {
  const layout = newArchive(t)
  if (process.geteuid?.() !== 0) return t.pass('needs a mounted tmpfs', { skip: 'not root' })
  const disk = journalOf(layout, ana)
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', disk], { stdio: 'ignore' })
  } catch {
    return t.pass('needs a mounted tmpfs', { skip: 'mount' })
  }
  t.teardown(() => execFileSync('umount', ['--lazy', disk]))
  put(disk, 'far', 'x')
  execFileSync('touch', ['-d', '@9000000000000000', join(disk, 'far')])
  chownSync(join(disk, 'far'), 0, 0)
  const { header } = await snapshot(layout, ana)
  const tree = new SnapshotTree(new Objects(layout.objects), new Shelf(layout, ana).read(header.id), '')
  t.match([...tree.rows()].at(-1), { seconds: 2 ** 40 })
  t.equal((await snapshot(layout, ana)).fresh, false)
})

t.test(
  'what another server kept is laid out where nothing came from the laptop yet, and nowhere else',
  async (t) => {
    const layout = newArchive(t)
    const elsewhere = join(layout.root, 'elsewhere')
    put(join(elsewhere, 'old'), '00/00000000-0000-0000-0000-000000000001/metadata/title', 'of old')
    const { adopt } = jobsOf(layout)
    const given = { folder: elsewhere, directory: 'old', isNewest: true }
    const day = (date: string) => new Date(`2011-03-${date}T08:00:00Z`)
    const there = (uid: string) => readdirSync(journalOf(layout, uid))

    // A session has made the folder, and a child's mistake one in it.
    mkdirSync(join(journalOf(layout, ana), 'empty'))
    await adopt({ ...given, uid: ana, at: day('01') }, quiet)
    t.strictSame(there(ana), ['00'])
    put(join(elsewhere, 'old'), '01/00000000-0000-0000-0000-000000000002/metadata/title', 'newer')
    await adopt({ ...given, uid: ana, at: day('02') }, quiet)
    t.strictSame(there(ana), ['00'], 'what is there stays')

    await sentJournal(layout, ben, 5, 0)
    await snapshot(layout, ben)
    rmSync(journalOf(layout, ben), { recursive: true })
    await adopt({ ...given, uid: ben, at: day('01') }, quiet)
    t.strictSame(there(ben), [], 'a Journal that was emptied here is not filled again')
  },
)
