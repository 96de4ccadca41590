import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { pino } from 'pino'
import type { Test } from 'tap'
import { receiver } from '../../../core/cli/receive.js'
import { Archivist } from '../../../plugins/backup/archive/archivist.js'
import { datastore, Layout } from '../../../plugins/backup/archive/layout.js'
import type { Progress } from '../../../plugins/backup/archive/progress.js'
import { parcelOf, type Restoring } from '../../../plugins/backup/archive/restore.js'
import { takeSnapshot } from '../../../plugins/backup/archive/snapshot.js'
import { objectFiles } from '../../../plugins/backup/archive/sweep.js'
import { Mailbox } from '../../../plugins/backup/commands/mailbox.js'
import type { Tree } from '../../../plugins/backup/tree.js'
import { makeJournal } from '../../../sugaroid/index.js'

/** Hears of work and never gives it up. */
export const quiet = { step: () => undefined }

/** A learner's uid, the same for the same number. */
export const learner = (number: number): string =>
  createHash('sha1').update(`learner ${number}`).digest('hex')

/** An archive in a directory of its own, gone with the test. */
export function newArchive(t: Test, root = mkdtempSync(join(tmpdir(), 'sugar-archive-'))): Layout {
  t.teardown(() => rmSync(root, { recursive: true, force: true }))
  const layout = new Layout(root)
  for (const folder of [layout.lives, layout.allSnapshots, layout.objects, layout.scratch])
    mkdirSync(folder, { recursive: true, mode: 0o700 })
  return layout
}

/** Where a learner's laptop sends its Journal. */
export function journalOf(layout: Layout, uid: string): string {
  const path = join(layout.live(uid), datastore)
  mkdirSync(path, { recursive: true, mode: 0o700 })
  return path
}

/** A Journal that has been sent. */
export async function sentJournal(
  layout: Layout,
  uid: string,
  entries: number,
  megabytes = 2,
  seed = '1',
): Promise<string> {
  const path = journalOf(layout, uid)
  await makeJournal(path, { entries, megabytes, seed })
  return path
}

/** Writes a file as rsync does: a new one in the place of the old. */
export function put(folder: string, name: string | Buffer, content: string | Buffer, mode = 0o644): void {
  const path = Buffer.concat([Buffer.from(`${folder}/`), Buffer.from(name)])
  mkdirSync(dirname(path.toString('latin1')), { recursive: true })
  const temporary = join(folder, '.coming')
  writeFileSync(temporary, content, { mode })
  renameSync(temporary, path)
}

export const snapshot = (layout: Layout, uid: string) => takeSnapshot(layout, uid, quiet)

/** Every name below some directories, with kind, mode, exact time and link target, and each file's sha256. */
export function facts(folder: string, ...names: string[]): string[] {
  const options = { cwd: folder, encoding: 'latin1', maxBuffer: 1 << 28 } as const
  const there = names.length > 0 ? names : ['.']
  const rows = execFileSync('find', [...there, '-printf', '%p|%y|%m|%T@|%l\\0'], options)
  const sums = execFileSync('find', [...there, '-type', 'f', '-exec', 'sha256sum', '-z', '{}', '+'], options)
  return [...rows.split('\0'), ...sums.split('\0')].sort()
}

/** What the archive takes besides the live trees: bytes of the disk and inodes that are its own alone. */
export function usage({ objects, allSnapshots, scratch }: Layout): { bytes: number; inodes: number } {
  const rows = execFileSync('find', [objects, allSnapshots, scratch, '-printf', '%b %n %y\\n'], {
    encoding: 'latin1',
  })
  let bytes = 0
  let inodes = 0
  for (const row of rows.trim().split('\n')) {
    const [blocks = 0, links = 0] = row.split(' ').map(Number)
    // The inode of a live file is there anyway.
    if (row.endsWith('f') && links > 1) continue
    bytes += 512 * blocks
    inodes += 1
  }
  return { bytes, inodes }
}

/** The names of all objects. */
export const objectNames = ({ objects }: Layout): string[] =>
  [...new Set([...objectFiles(objects)].map(({ name }) => name))].sort()

/** The archive's real process; it ends with the test. */
export function archivistOf(t: Test, layout: Layout, note?: (pid: number) => void): Archivist {
  const log = pino({ level: 'silent' })
  const archivist = new Archivist(layout.root, log, (pid) => {
    note?.(pid)
    return () => undefined
  })
  t.teardown(() => archivist.close())
  return archivist
}

/** Packs a tree and writes it where it shall be, as the command does. */
export async function restore(
  tree: Tree,
  { to, entry, ...more }: { to: string; entry?: string | undefined } & Pick<Restoring, 'form' | 'home'>,
  progress: Progress = quiet,
) {
  const entries = entry === undefined ? undefined : [entry]
  const { delivery, content, facts } = await parcelOf(tree, { to, entries, ...more }, progress)
  await receiver(new Set([to]))(delivery, content)
  return facts()
}

/** The same, packed by the archive's real process. */
export async function restoreBy(archivist: Archivist, wanted: { uid: string; at?: string; to: string }) {
  const { to } = wanted
  const mailbox = await Mailbox.open()
  try {
    const packing = archivist.run('restore', { ...wanted, socket: mailbox.path })
    packing.catch(() => undefined)
    await receiver(new Set([to]))({ to, form: 'directory' }, mailbox.arriving(packing))
    return await packing
  } finally {
    await mailbox.close()
  }
}
