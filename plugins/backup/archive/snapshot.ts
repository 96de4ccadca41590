import { mkdirSync, rmSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { SugarError, systemCode } from '../../../core/api.js'
import { below } from '../journal/path.js'
import type { ObjectName, Row } from '../tree.js'
import { Brake, isUpheaval, type Upheaval } from './brake.js'
import { Digest } from './digest.js'
import { noRoom, syncDisk, syncFolder } from './flush.js'
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
  const newest = shelf.ids().at(-1)
  for (const before of beforesOn(shelf)) {
    try {
      return await takeAfter(before, before?.header.id !== newest, { layout, uid, shelf, progress, source })
    } catch (error) {
      if (before === undefined || !(error instanceof SugarError && error.code === 'DAMAGED')) throw error
    }
  }
  throw new Error('a snapshot was neither taken nor refused')
}

/** What a snapshot may come after: one that turns out damaged hides none before it; without any, everything is read. */
function* beforesOn(shelf: Shelf): Generator<Manifest | undefined> {
  yield* shelf.wholes()
  yield undefined
}

interface Taking {
  readonly layout: Layout
  readonly uid: string
  readonly shelf: Shelf
  readonly progress: Progress
  readonly source: Source
}

/** @param doubts whether there are damaged snapshots since the one before: what they share with this one is mended */
async function takeAfter(before: Manifest | undefined, doubts: boolean, taking: Taking): Promise<Taken> {
  const { layout, uid, source } = taking
  const scratch = join(layout.scratch, `snapshot-${uid}`)
  const remove = () => {
    rmSync(scratch, { recursive: true, force: true })
    rmSync(`${scratch}.manifest`, { force: true })
  }
  remove()
  try {
    const links = source.foreign === undefined
    const intake = new Intake(new Objects(layout.objects), scratch, { links, doubts })
    return await take(before, doubts, intake, taking)
  } catch (error) {
    if (!['ENOSPC', 'EDQUOT'].includes(systemCode(error) ?? '')) throw error
    throw noRoom(`there is no room for a snapshot of ${uid}`, error)
  } finally {
    remove()
  }
}

async function take(
  before: Manifest | undefined,
  doubts: boolean,
  intake: Intake,
  { layout, uid, shelf, progress, source: { folder, places, foreign } }: Taking,
): Promise<Taken> {
  const brake = new Brake()
  const digest = new Digest()
  const listed = list(folder, places)
  const old = before === undefined ? [] : rowsOf(new Objects(layout.objects), before)
  const names: ObjectName[] = []
  const pieces = new Pieces((piece) => names.push(intake.piece(piece)))
  let files = 0
  let bytes = 0
  for (const [here, past] of pairs(listed, old)) {
    const was = past === undefined ? undefined : inJournal(past)
    if (past !== undefined && was !== undefined) brake.was(was, past)
    if (here === undefined || here.type === 'other') continue
    const row =
      carriedOver(here, past, foreign ? undefined : seenBy(before)) ?? (await readIn(folder, here, intake))
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
  if (before !== undefined && !doubts && same(before.pieces, names))
    return { header: before.header, fresh: false }

  const shelfFolder = layout.snapshots(uid)
  if (mkdirSync(shelfFolder, { recursive: true, mode: 0o700 }) !== undefined) syncFolder(dirname(shelfFolder))
  if (!intake.isEmpty) {
    syncDisk(layout.root)
    intake.commit()
    // A snapshot is not before its objects, whatever the file system makes of the order of renames.
    syncDisk(layout.root)
  }
  const at = foreign ?? new Date()
  const id = foreign === undefined ? shelf.newId(at) : shelf.oldId(at)
  const header: Header = {
    journal: 1,
    id,
    uid,
    at: at.toISOString(),
    // After the objects are in place: to link and to rename is a change, by the kernel's clock.
    seen: foreign === undefined ? settled() : [0, 0],
    entries: brake.entries,
    files,
    bytes,
    added: intake.added,
    digest: digest.done(),
  }
  const { upheaval } = brake
  const held =
    before !== undefined && foreign === undefined && isUpheaval(upheaval) ? before.header.id : undefined
  // First, so that whatever stops us now cannot leave the new one without the hold on the old one.
  if (held !== undefined) shelf.hold(held, { by: 'brake', why: tell(upheaval, at) })
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

/**
 * Before when, by the kernel's clock, nothing has changed that is not in a snapshot. Without a battery that clock may
 * begin anew at 1970, and be set right later: what lies ahead of us says nothing.
 */
function seenBy(before: Manifest | undefined): Header['seen'] | undefined {
  const seen = before?.header.seen
  return seen !== undefined && seen[0] * 1000 <= Date.now() ? seen : undefined
}

/** The row of something that has not changed since it was last read. */
function carriedOver(here: Listed, past: Row | undefined, seen: Header['seen'] | undefined): Row | undefined {
  const { path, mode, seconds, nanos } = here
  if (here.type === 'directory') return { path, mode, seconds, nanos, type: 'directory' }
  if (here.type === 'link') return { path, mode, seconds, nanos, type: 'link', target: unmunged(here.target) }
  if (past?.type !== 'file' || past.size !== here.size || seen === undefined) return undefined
  // Its own time as well: the kernel's clock may have been wrong when it was written.
  if (past.seconds !== seconds || past.nanos !== nanos || !isBefore(here, seen)) return undefined
  return { path, mode, seconds, nanos, type: 'file', size: past.size, content: past.content }
}

async function readIn(
  folder: string,
  { path, lies, mode, seconds, nanos }: Listed,
  intake: Intake,
): Promise<Row> {
  return { path, mode, seconds, nanos, type: 'file', ...(await intake.file(below(folder, lies))) }
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
