import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { makeFolderSync } from '../../../core/api.js'
import { below } from '../journal/path.js'
import type { BytePath, Row } from '../tree.js'
import { Brake, type Upheaval } from './brake.js'
import { Bundle, Bundles, pack } from './bundles.js'
import { Digest } from './digest.js'
import { archiveFault, syncDisk } from './flush.js'
import { incompleteBy, type Transfer } from './incomplete.js'
import { datastore, type Layout, partialDirectory, placesOfLive } from './layout.js'
import { type Listed, list } from './listing.js'
import { type Header, type Manifest, writeManifest } from './manifest.js'
import { Intake, Objects } from './objects.js'
import { Past, unmunged } from './past.js'
import { inGroups, type Piece } from './pieces.js'
import type { Progress } from './progress.js'
import { Shelf } from './shelf.js'

export interface Taken {
  /** The Journal's newest snapshot. */
  readonly header: Header
  /** Whether it is new: a Journal that is as it was needs none. */
  readonly fresh: boolean
  /** What was held because this one lacks most of it. */
  readonly held?: {
    readonly id: string
    readonly upheaval: Upheaval
    /** The Journal goes back and forth between two states. */
    readonly inTurns?: true
  }
  /** What the session left out, in words. */
  readonly incomplete?: string
}

/** What a snapshot is taken of. */
export interface Source {
  readonly folder: string
  /** Directories in it, by the places that they stand for. */
  readonly places: Readonly<Record<string, string>>
  /** Somebody else's tree, as it was at this time: its files are copied, and no brake is put on. */
  readonly foreign?: Date
  /** Whether a power cut may have torn it, and the laptop has not come again. */
  readonly unconfirmed?: boolean
}

export const liveOf = (layout: Layout, uid: string): Source => ({
  folder: layout.live(uid),
  places: placesOfLive,
})

// The kernel stamps changes with a clock that ticks every 4 ms, or 10 on some machines.
const tick = 12

/**
 * Takes a snapshot of a learner's live tree, which nobody writes meanwhile, or of another. Files that the kernel has
 * not touched since the last one are not read again. It is on the disk when this returns.
 * @throws SystemError NO_SPACE when there is no room, DISK_FAILING; what was there before stands
 */
export async function takeSnapshot(
  layout: Layout,
  uid: string,
  progress: Progress,
  source: Source = liveOf(layout, uid),
  transfer: Transfer = { code: 0 },
): Promise<Taken> {
  const scratch = join(layout.scratch, `snapshot-${uid}`)
  const remove = () => {
    rmSync(scratch, { recursive: true, force: true })
    rmSync(`${scratch}.manifest`, { force: true })
  }
  remove()
  try {
    const intake = new Intake(new Objects(layout.objects), scratch, { links: source.foreign === undefined })
    return await take(layout, uid, progress, source, intake, transfer)
  } catch (error) {
    throw archiveFault(error, layout.root, `there is no room for a snapshot of ${uid}`)
  } finally {
    remove()
  }
}

async function take(
  layout: Layout,
  uid: string,
  progress: Progress,
  { folder, places, foreign, unconfirmed = false }: Source,
  intake: Intake,
  transfer: Transfer,
): Promise<Taken> {
  const shelf = new Shelf(layout, uid)
  const before = lastOf(shelf, foreign)
  const isNewest = foreign !== undefined || before?.header.id === shelf.ids().at(-1)
  const listed = list(folder, places).filter(({ type }) => type !== 'other')
  if (foreign === undefined) removePartial(folder, listed)
  const incomplete = incompleteBy(transfer, join(folder, datastore), bytesHere(listed))
  const words = incomplete === undefined ? {} : { incomplete }
  const past = new Past(new Bundles(new Objects(layout.objects)), before, foreign === undefined)
  const groups = [...inGroups(listed)].map((rows) => ({ rows, ...past.look(rows) }))
  // That all of it came now is worth a snapshot, though nothing is otherwise.
  const isKnown = before?.header.incomplete === undefined || incomplete !== undefined
  const isSame = (pieces: readonly unknown[]) =>
    isNewest && isKnown && pieces.length === before?.pieces.length && !pieces.includes(undefined)
  const isSure = !unconfirmed && incomplete === undefined
  const asBefore = (same: Manifest): Taken => ({
    header: isSure ? confirm(shelf, same, `${intake.folder}.manifest`) : same.header,
    fresh: false,
    ...words,
  })
  if (before !== undefined && isSame(groups.map(({ piece }) => piece))) return asBefore(before)

  const brake = new Brake()
  const digest = new Digest()
  let files = 0
  let bytes = 0
  for (const { path, type, size, seconds } of listed) {
    const inside = inJournal(path)
    brake.here(path, type === 'file')
    if (type !== 'file') continue
    files += 1
    bytes += size
    if (inside !== undefined) digest.file(inside, size, seconds)
  }
  past.recall((row) => brake.was(row.path, row))
  const bundle = new Bundle()
  const pieces: (Piece | Omit<Piece, 'bundle'>)[] = []
  for (const { rows: group, piece, check } of groups) {
    if (piece !== undefined) {
      pieces.push(piece)
      continue
    }
    const rows: Row[] = []
    for (const here of group) {
      progress.step(here.size)
      const row = past.carriedOver(here) ?? (await readIn(folder, here, intake))
      rows.push(row)
      brake.is(row.path, row)
    }
    const packed = pack(rows)
    // Looked at anew, and the same after all.
    pieces.push(past.same(packed.sum) ?? { ...bundle.add(packed), sum: packed.sum, check })
  }
  if (before !== undefined && isSame(pieces) && bundle.isEmpty) {
    // Contents that had been lost came once more.
    if (!intake.isEmpty) settle(layout, intake)
    return asBefore(before)
  }
  const name = bundle.isEmpty ? '' : intake.bundle(bundle.bytes)

  const shelfFolder = layout.snapshots(uid)
  makeFolderSync(shelfFolder)
  settle(layout, intake)
  const at = foreign ?? new Date()
  const id = foreign === undefined ? shelf.newId(at) : shelf.oldId(at)
  const header: Header = {
    journal: 1,
    id,
    uid,
    at: at.toISOString(),
    // After the objects are in place: to link and to rename is a change, by the kernel's clock.
    seen: foreign === undefined ? settled() : [0, 0],
    entries: brake.counts.entries,
    files,
    bytes,
    added: intake.added,
    digest: digest.done(),
    ...(unconfirmed && { unconfirmed: true }),
    ...words,
  }
  const upheaval = foreign === undefined ? brake.upheaval(before?.header.entries) : undefined
  const held = before === undefined || upheaval === undefined ? undefined : { id: before.header.id, upheaval }
  // First, so that whatever stops us now cannot leave the new one without the hold on the old one.
  if (held !== undefined) shelf.hold(held.id, { by: 'brake', why: tell(held.upheaval, at) })
  const placed = pieces.map((piece) => ({ bundle: name, ...piece }))
  writeManifest(shelf.path(id), { header, pieces: placed }, `${intake.folder}.manifest`)
  return { header, fresh: true, ...words, ...(held && { held }) }
}

const isPartial = (path: BytePath): boolean => path.endsWith(`/${partialDirectory}`)

/** Removes what has come of files whose sessions broke off, now that one has ended: from the tree and its list. */
function removePartial(folder: string, listed: Listed[]): void {
  const inside = listed.filter(({ path, type }) => type === 'directory' && isPartial(path))
  if (inside.length === 0) return
  for (const { lies } of inside) rmSync(below(folder, lies), { recursive: true, force: true })
  const kept = listed.filter(
    ({ path }) => !inside.some((one) => path === one.path || path.startsWith(`${one.path}/`)),
  )
  listed.splice(0, listed.length, ...kept)
}

/** Bytes of the Journal's files and links, as rsync adds them up. */
function bytesHere(listed: readonly Listed[]): number {
  let bytes = 0
  for (const { path, type, size, target } of listed) {
    if (inJournal(path) === undefined) continue
    if (type === 'file') bytes += size
    else if (type === 'link') bytes += unmunged(target).length
  }
  return bytes
}

/** The laptop has come again, and what was taken after a power cut is what it has. */
function confirm(
  shelf: Shelf,
  { header: { unconfirmed, ...header }, pieces }: Manifest,
  scratch: string,
): Header {
  if (unconfirmed === true) writeManifest(shelf.path(header.id), { header, pieces }, scratch)
  return header
}

/** Puts objects in their places, for good. */
function settle(layout: Layout, intake: Intake): void {
  syncDisk(layout.root)
  intake.commit()
  // A snapshot is not before its objects, whatever the file system makes of the order of renames.
  syncDisk(layout.root)
}

/** The snapshot that comes before: the newest by then. One that is damaged hides none before it. */
function lastOf(shelf: Shelf, then: Date | undefined): Manifest | undefined {
  for (const manifest of shelf.wholes()) {
    if (then === undefined || Date.parse(manifest.header.at) <= then.getTime()) return manifest
  }
  return undefined
}

const tell = ({ kind, before, removed, rewritten }: Upheaval, at: Date): string =>
  `on ${at.toISOString()} ${removed} of ${before} ${kind} were gone and ${rewritten} rewritten`

async function readIn(
  folder: string,
  { path, lies, mode, seconds, nanos }: Listed,
  intake: Intake,
): Promise<Row> {
  return { path, mode, seconds, nanos, type: 'file', ...(await intake.file(below(folder, lies))) }
}

const prefix = `${datastore}/`

/** A path within the Journal, or undefined when it is not there. */
const inJournal = (path: BytePath): BytePath | undefined =>
  path.startsWith(prefix) ? path.slice(prefix.length) : undefined

/** The time, once it is certain that no later change can carry an earlier stamp. */
function settled(): Header['seen'] {
  const now = Date.now()
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, tick)
  return [Math.floor(now / 1000), (now % 1000) * 1_000_000]
}
