import { spawnSync } from 'node:child_process'
import {
  closeSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  rmSync,
  writeSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pino } from 'pino'
import t, { type Test } from 'tap'
import { Archivist } from '../../../../plugins/backup/archive/archivist.js'
import type { Layout } from '../../../../plugins/backup/archive/layout.js'
import { Objects } from '../../../../plugins/backup/archive/objects.js'
import { prune } from '../../../../plugins/backup/archive/prune.js'
import { Shelf } from '../../../../plugins/backup/archive/shelf.js'
import { SnapshotTree } from '../../../../plugins/backup/archive/snapshot-tree.js'
import { sweep } from '../../../../plugins/backup/archive/sweep.js'
import { verify } from '../../../../plugins/backup/archive/verify.js'
import { Processes } from '../../../../plugins/backup/session/processes.js'
import { changeJournal } from '../../../../sugaroid/index.js'
import {
  facts,
  learner,
  newArchive,
  put,
  quiet,
  restore,
  sentJournal,
  snapshot,
} from '../../../support/backup/test-archive.js'

t.setTimeout(300_000)

const ana = learner(1)

/** A disk of a few megabytes; undefined, and the test skipped, where this user cannot mount one. */
function smallDisk(t: Test, options: string): string | undefined {
  const disk = mkdtempSync(join(tmpdir(), 'sugar-disk-'))
  const { status, error, stderr } = spawnSync('mount', [
    '-t',
    'tmpfs',
    '-o',
    `mode=700,${options}`,
    'tmpfs',
    disk,
  ])
  t.teardown(() => {
    spawnSync('umount', ['--lazy', disk])
    rmSync(disk, { recursive: true, force: true })
  })
  if (status === 0) return disk
  t.pass('needs a mounted tmpfs', { skip: `mount: ${error?.message ?? String(stderr).trim()}` })
  return undefined
}

/** Leaves so many bytes and not one more. */
function fill(disk: string, left: number): void {
  const spare = openSync(join(disk, 'spare'), 'w')
  for (let room = left; room > 0; ) room -= writeSync(spare, Buffer.alloc(Math.min(room, 4096), 1))
  closeSync(spare)
  const ballast = openSync(join(disk, 'ballast'), 'w')
  for (let size = 1 << 20; size >= 1; size = Math.floor(size / 16)) {
    try {
      for (;;) writeSync(ballast, Buffer.alloc(size, 1))
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error
    }
  }
  closeSync(ballast)
  rmSync(join(disk, 'spare'))
}

/** Leaves not one inode. @returns a directory to remove */
function crowd(disk: string): string {
  const folder = join(disk, 'crowd')
  mkdirSync(folder)
  try {
    for (let count = 0; ; count += 1) closeSync(openSync(join(folder, `${count}`), 'w'))
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error
  }
  return folder
}

async function newDisk(t: Test, options: string) {
  const disk = smallDisk(t, options)
  if (disk === undefined) return undefined
  const root = join(disk, 'root')
  mkdirSync(root)
  const layout = newArchive(t, root)
  return { disk, layout, journal: await sentJournal(layout, ana, 30, 2) }
}

const restoreTo = (layout: Layout, to: string, entry?: string) => {
  const shelf = new Shelf(layout, ana)
  const [first = ''] = shelf.ids()
  const tree = new SnapshotTree(new Objects(layout.objects), shelf.read(first), 'datastore-current')
  return restore(tree, { to, entry }, quiet)
}

t.test('a full disk refuses a snapshot and a restore, and leaves all that was there whole', async (t) => {
  const made = await newDisk(t, 'size=24m')
  if (made === undefined) return
  const { disk, layout, journal } = made
  const { header } = await snapshot(layout, ana)
  const first = facts(journal)
  await changeJournal(journal, { percent: 60 })
  const shelf = new Shelf(layout, ana)
  for (const left of [0, 4096, 20_000, 60_000]) {
    fill(disk, left)
    await t.rejects(
      snapshot(layout, ana),
      { code: 'NO_SPACE', hint: /make room/ },
      `a snapshot with ${left} bytes left`,
    )
    for (const name of ['out', 'out.xob'])
      await t.rejects(
        restoreTo(layout, join(disk, name)),
        { code: 'NO_SPACE' },
        `${name} with ${left} bytes left`,
      )
    t.strictSame(shelf.ids(), [header.id])
    t.strictSame((await verify(layout, quiet, { repair: false })).damage, [])
    t.strictSame(readdirSync(layout.scratch), [])
    t.strictSame(
      readdirSync(disk).filter((name) => name !== 'root'),
      ['ballast'],
    )
    rmSync(join(disk, 'ballast'))
  }
  t.match(await snapshot(layout, ana), { fresh: true })
  await restoreTo(layout, join(disk, 'out'))
  t.strictSame(facts(join(disk, 'out')), first)
})

t.test('pruning and sweeping need no room, and make some', async (t) => {
  const made = await newDisk(t, 'size=24m')
  if (made === undefined) return
  const { disk, layout, journal } = made
  await snapshot(layout, ana)
  await changeJournal(journal, { percent: 60 })
  const { header } = await snapshot(layout, ana)
  put(journal, 'more', Buffer.alloc(3_000_000, 'soft'))
  fill(disk, 0)
  await t.rejects(snapshot(layout, ana), { code: 'NO_SPACE' })
  const rules = { last: 1, daily: 0, weekly: 0, monthly: 0 }
  prune(layout, { rules, dryRun: false }, () => false)
  t.ok(sweep(layout, quiet).removed > 5)
  t.strictSame(new Shelf(layout, ana).ids(), [header.id])
  t.match(await snapshot(layout, ana), { fresh: true }, 'there is room for the next one')
  t.strictSame((await verify(layout, quiet, { repair: false })).damage, [])
})

t.test('a disk without inodes is a full one', async (t) => {
  const made = await newDisk(t, 'size=24m,nr_inodes=1400')
  if (made === undefined) return
  const { disk, layout, journal } = made
  await snapshot(layout, ana)
  put(journal, 'picture', Buffer.alloc(100_000, 'soft'))
  const folder = crowd(disk)
  await t.rejects(snapshot(layout, ana), { code: 'NO_SPACE' })
  await t.rejects(restoreTo(layout, join(disk, 'out')), { code: 'NO_SPACE' })
  t.notOk(existsSync(join(disk, 'out')))
  t.strictSame((await verify(layout, quiet, { repair: false })).damage, [])
  rmSync(folder, { recursive: true })
  t.match(await snapshot(layout, ana), { fresh: true })
})

t.test(
  'pruning goes on where not even a note of it can be made; a snapshot is refused, and later taken',
  async (t) => {
    const made = await newDisk(t, 'size=24m,nr_inodes=1400')
    if (made === undefined) return
    const { disk, layout, journal } = made
    const processes = new Processes(layout.root)
    const archivist = new Archivist(layout.root, pino({ level: 'silent' }), (pid) => processes.note(pid))
    t.teardown(() => archivist.close())
    await snapshot(layout, ana)
    await changeJournal(journal, { percent: 60 })
    await snapshot(layout, ana)
    put(journal, 'picture', Buffer.alloc(100_000, 'soft'))
    crowd(disk)
    const full = { code: 'NO_SPACE', hint: /make room/ }
    await t.rejects(archivist.run('snapshot', { uid: ana }), full)
    await t.rejects(archivist.run('snapshot', { uid: ana }), full, 'and no later work hangs')
    const rules = { last: 1, daily: 0, weekly: 0, monthly: 0 }
    const pruning = archivist.run('prune', { rules, dryRun: false })
    await t.rejects(archivist.run('snapshot', { uid: ana }), full, 'though the process is there')
    t.match(await pruning, [{ keep: false }, { keep: true }])
    t.ok((await archivist.run('sweep', {})).removed > 5)
    t.match(await archivist.run('snapshot', { uid: ana }), { fresh: true })
    t.equal(readdirSync(join(layout.root, 'processes')).length, 1, 'which is noted now')
  },
)
