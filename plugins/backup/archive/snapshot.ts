import { spawnSync } from 'node:child_process'
import { chmodSync, mkdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { SystemError, systemCode } from '../../../core/api.js'
import type { FileRow, ObjectName, Row } from '../tree.js'
import { Brake, isUpheaval, type Upheaval } from './brake.js'
import { inlineLimit } from './codec.js'
import { Digest } from './digest.js'
import { datastore, type Layout, placesOfLive } from './layout.js'
import { type Listed, list } from './listing.js'
import { type Header, type Manifest, writeManifest } from './manifest.js'
import { Intake, Objects } from './objects.js'
import { Pieces } from './pieces.js'
import type { Progress } from './progress.js'
import { rowsOf } from './rows.js'
import { Shelf } from './shelf.js'

export interface Taken {
  /** The Journal's newest snapshot. */
  readonly header: Header
  /** Whether it is new: a Journal that is as it was needs none. */
  readonly fresh: boolean
  /** What was held because this one lacks most of it. */
  readonly held?: { readonly id: string; readonly upheaval: Upheaval }
}

/** What a snapshot is taken of. */
export interface Source {
  readonly folder: string
  /** Directories in it, by the places that they stand for. */
  readonly places: Readonly<Record<string, string>>
  /** Somebody else's tree, as it was at this time: its files are copied, and no brake is put on. */
  readonly foreign?: Date
}

const liveOf = (layout: Layout, uid: string): Source => ({ folder: layout.live(uid), places: placesOfLive })

// The kernel stamps changes with a clock that ticks every 4 ms, or 10 on some machines.
const tick = 25

/**
 * Takes a snapshot of a learner's live tree, which nobody writes meanwhile, or of another. Files that the kernel has
 * not touched since the last one are not read again. It is on the disk when this returns.
 * @throws SystemError NO_SPACE when there is no room; what was there before stands
 */
export async function takeSnapshot(
  layout: Layout,
  uid: string,
  progress: Progress,
  source: Source = liveOf(layout, uid),
): Promise<Taken> {
  const shelf = new Shelf(layout, uid)
  const before = shelf.latest()
  const scratch = join(layout.scratch, `snapshot-${uid}`)
  rmSync(scratch, { recursive: true, force: true })
  const intake = new Intake(new Objects(layout.objects), scratch, source.foreign === undefined)
  try {
    return await take(layout, uid, shelf, before, intake, progress, source)
  } catch (error) {
    if (['ENOSPC', 'EDQUOT'].includes(systemCode(error) ?? '')) {
      throw new SystemError('NO_SPACE', `no room for a snapshot of ${uid}`, {
        hint: 'make room: "sugar-server backup prune", or a larger disk',
        cause: error,
      })
    }
    throw error
  } finally {
    intake.discard()
    rmSync(`${scratch}.manifest`, { force: true })
  }
}

async function take(
  layout: Layout,
  uid: string,
  shelf: Shelf,
  before: Manifest | undefined,
  intake: Intake,
  progress: Progress,
  { folder, places, foreign }: Source,
): Promise<Taken> {
  const brake = new Brake()
  const digest = new Digest()
  const listed = list(folder, places)
  const old = before === undefined ? [] : rowsOf(new Objects(layout.objects), before)
  const names: ObjectName[] = []
  const pieces = new Pieces((piece) => names.push(intake.bytes(piece)))
  let files = 0
  let bytes = 0
  for (const [here, past] of pairs(listed, old)) {
    const was = past === undefined ? undefined : inJournal(past)
    if (past !== undefined && was !== undefined) brake.was(was, past)
    if (here === undefined || here.type === 'other') continue
    const row =
      carriedOver(here, past, foreign ? undefined : before?.header.seen) ??
      (await readIn(folder, here, intake))
    pieces.add(row)
    const is = inJournal(row)
    if (is !== undefined) brake.is(is, row)
    progress.step(here.size)
    if (row.type !== 'file') continue
    files += 1
    bytes += row.size
    if (is !== undefined) digest.file(is, row.size, row.seconds)
  }
  pieces.end()
  if (before !== undefined && same(before.pieces, names)) return { header: before.header, fresh: false }

  syncDisk(layout.root)
  const at = foreign ?? new Date()
  const id = foreign === undefined ? shelf.newId(at) : shelf.oldId(at)
  const header: Header = {
    journal: 1,
    id,
    uid,
    at: at.toISOString(),
    seen: foreign === undefined ? settled() : [0, 0],
    entries: brake.entries,
    files,
    bytes,
    added: intake.added,
    digest: digest.done(),
  }
  intake.commit()
  const { upheaval } = brake
  const held =
    before !== undefined && foreign === undefined && isUpheaval(upheaval) ? before.header.id : undefined
  // First, so that whatever stops us now cannot leave the new one without the hold on the old one.
  if (held !== undefined) shelf.hold(held, { by: 'brake', why: tell(upheaval, at) })
  mkdirSync(layout.snapshots(uid), { recursive: true, mode: 0o700 })
  writeManifest(shelf.path(id), { header, pieces: names }, join(layout.scratch, `snapshot-${uid}.manifest`))
  return held === undefined ? { header, fresh: true } : { header, fresh: true, held: { id: held, upheaval } }
}

const tell = ({ before, removed, rewritten }: Upheaval, at: Date): string =>
  `on ${at.toISOString()} ${removed} of ${before} entries were gone and ${rewritten} rewritten`

/** A listed file beside the row it had, in the order of paths. */
function* pairs(
  listed: readonly Listed[],
  old: Iterable<Row>,
): Generator<[Listed | undefined, Row | undefined]> {
  const rows = old[Symbol.iterator]()
  let row = rows.next()
  for (const here of listed) {
    while (!row.done && row.value.path < here.path) {
      yield [undefined, row.value]
      row = rows.next()
    }
    if (!row.done && row.value.path === here.path) {
      yield [here, row.value]
      row = rows.next()
    } else yield [here, undefined]
  }
  for (; !row.done; row = rows.next()) yield [undefined, row.value]
}

/** The row of something that has not changed since it was last read. */
function carriedOver(here: Listed, past: Row | undefined, seen: Header['seen'] | undefined): Row | undefined {
  const { path, mode, seconds, nanos } = here
  if (here.type === 'directory') return { path, mode, seconds, nanos, type: 'directory' }
  if (here.type === 'link') return { path, mode, seconds, nanos, type: 'link', target: unmunged(here.target) }
  if (past?.type !== 'file' || past.size !== here.size || seen === undefined) return undefined
  if (!isBefore(here, seen)) return undefined
  return { path, mode, seconds, nanos, type: 'file', size: past.size, content: past.content }
}

async function readIn(folder: string, here: Listed, intake: Intake): Promise<Row> {
  const { path, mode, seconds, nanos } = here
  const file = Buffer.from(`${Buffer.from(folder).toString('latin1')}/${here.lies}`, 'latin1')
  const content = await readable(file, mode, () => contentOf(file, here.size, intake))
  return { path, mode, seconds, nanos, type: 'file', ...content }
}

async function contentOf(
  file: Buffer,
  size: number,
  intake: Intake,
): Promise<Pick<FileRow, 'size' | 'content'>> {
  if (size <= inlineLimit) {
    const content = readFileSync(file)
    if (content.length <= inlineLimit) return { size: content.length, content }
  }
  const { name, size: length } = await intake.file(file)
  return { size: length, content: name }
}

/** Reads a file that its owner on the laptop had forbidden everybody to read; here it is ours. */
async function readable<R>(file: Buffer, mode: number, read: () => Promise<R>): Promise<R> {
  try {
    return await read()
  } catch (error) {
    if (systemCode(error) !== 'EACCES') throw error
    chmodSync(file, mode | 0o400)
    try {
      return await read()
    } finally {
      chmodSync(file, mode)
    }
  }
}

const prefix = `${datastore}/`

/** A row's path within the Journal, or undefined when it is not there. */
const inJournal = ({ path }: Row): string | undefined =>
  path.startsWith(prefix) ? path.slice(prefix.length) : undefined

// What rsync's --munge-links puts in front of a link's target.
const munge = '/rsyncd-munged/'
const unmunged = (target: string): string => (target.startsWith(munge) ? target.slice(munge.length) : target)

const isBefore = ({ changed, changedNanos }: Listed, [seconds, nanos]: Header['seen']): boolean =>
  changed < seconds || (changed === seconds && changedNanos < nanos)

const same = (a: readonly string[], b: readonly string[]): boolean =>
  a.length === b.length && a.every((name, index) => name === b[index])

/** The time, once it is certain that no later change can carry an earlier stamp. */
function settled(): Header['seen'] {
  const now = Date.now()
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, tick)
  return [Math.floor(now / 1000), (now % 1000) * 1_000_000]
}

/** Has everything written to the disk: one flush for thousands of files. */
function syncDisk(path: string): void {
  const { status, stderr } = spawnSync('sync', ['-f', path], { stdio: ['ignore', 'ignore', 'pipe'] })
  if (status === 0) return
  throw new SystemError('NOT_WRITABLE', `${path} cannot be written to the disk: ${stderr}`, {
    hint: 'check the disk',
  })
}
