import { randomUUID } from 'node:crypto'
import { chmod, mkdir, rename, stat } from 'node:fs/promises'
import { connect } from 'node:net'
import { dirname, join } from 'node:path'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { removeTree, systemCode } from '../../../core/api.js'
import { type Located, locate } from '../history/locate.js'
import { type Past, searchPast } from '../history/search-past.js'
import type { Found, Query } from '../journal/search.js'
import { choose } from './choice.js'
import { discard, type Rotten } from './discard.js'
import { type Distrusted, distrust } from './distrust.js'
import { type Drilled, drill } from './drill.js'
import { syncDisk } from './flush.js'
import { type History, weighHistory } from './history.js'
import { type Holding, holdingsOf, type SnapshotFacts, snapshotsOf } from './holdings.js'
import type { Transfer } from './incomplete.js'
import type { KeepRules } from './keeping.js'
import { boundHolds } from './kinds.js'
import { datastore, documents, type Layout } from './layout.js'
import { list } from './listing.js'
import { Objects } from './objects.js'
import type { Progress } from './progress.js'
import { type Pruned, prune } from './prune.js'
import { recover } from './recovery.js'
import { parcelOf, type Restored, type Restoring } from './restore.js'
import { type Hold, Shelf } from './shelf.js'
import { liveOf, type Taken, takeSnapshot } from './snapshot.js'
import { SnapshotTree } from './snapshot-tree.js'
import { type Swept, sizeOfObjects, sweep } from './sweep.js'
import { unfold } from './unfold.js'
import { type Verified, verify } from './verify.js'

type Job<G, R> = (given: G, progress: Progress) => Promise<R> | R

/** Which learner's snapshot; see choose(). */
interface Which {
  uid: string
  at?: string | undefined
}

/** Work on the archive, done in a process of its own, so that nothing here keeps a laptop waiting. */
export interface Jobs {
  /** After a session that changed something, or that left something out. @param unconfirmed see Header */
  snapshot: Job<{ uid: string; unconfirmed?: boolean; transfer?: Transfer | undefined }, Taken>
  /** After a power cut. The caller has the learner's turn. */
  distrust: Job<{ uid: string; since: number }, Distrusted>
  /** Takes a tree over that another server kept, as it was at a time; into the live tree too, where that is empty. */
  adopt: Job<{ uid: string; folder: string; directory: string; at: Date; isNewest: boolean }, Taken>
  holdings: Job<{ uids?: readonly string[] }, Holding[]>
  snapshots: Job<{ uid: string }, SnapshotFacts[]>
  hold: Job<{ uid: string; at: string; why: string }, string>
  /** Takes back what the brake holds; of one snapshot, whoever holds it. */
  release: Job<{ uid: string; id?: string | undefined }, Released>
  prune: Job<{ rules: KeepRules; uids?: readonly string[]; dryRun: boolean }, Pruned[]>
  sweep: Job<Record<never, never>, Swept>
  size: Job<Record<never, never>, number>
  /** What a learner's history takes; with a limit, what is too old for it goes. */
  history: Job<{ uid: string; limit?: number | undefined }, History>
  verify: Job<{ uids?: readonly string[]; repair: boolean }, Verified>
  /**
   * Moves all that is kept of a learner aside. The caller has the learner's turn.
   * @returns the directory with it, which the caller removes; a start removes it, too
   */
  forget: Job<{ uid: string }, string>
  /** Removes files of a live tree that are damaged. The caller has the learner's turn. */
  discard: Job<{ uid: string; rotten: readonly Rotten[] }, void>
  entries: Job<Which & { query: Query }, Found & { snapshot: string }>
  entry: Job<Which & { entry: string }, EntryFacts>
  /** Looks for entries in all snapshots. */
  locate: Job<{ uid: string; entries: readonly string[] }, Located>
  /** Searches for entries that are not in the snapshot that is meant when none is named, in all others. */
  past: Job<{ uid: string; text: string }, Past>
  restore: Job<Restoring, Restored>
  /** Lays a snapshot out for a pull, under a name, in a directory that is not there yet. */
  layOut: Job<Which & { to: string }, { snapshot: string }>
  drill: Job<{ uids: readonly string[] }, Drilled[]>
}

export type JobName = keyof Jobs
export type Given<J extends JobName> = Parameters<Jobs[J]>[0]
export type Result<J extends JobName> = Awaited<ReturnType<Jobs[J]>>

/** Work that changes what objects and snapshots there are: never two at once. */
export const exclusive: ReadonlySet<JobName> = new Set([
  'snapshot',
  'distrust',
  'adopt',
  'prune',
  'sweep',
  'history',
  'hold',
  'release',
  'discard',
  'forget',
])

/** Ids of snapshots. */
export interface Released {
  readonly released: readonly string[]
  /** Those that operators hold still. */
  readonly held: readonly string[]
}

/** What a plugin needs to show an entry and to hand out what is in it. */
export interface EntryFacts {
  readonly snapshot: string
  /** Values as the laptop wrote them. */
  readonly metadata: readonly (readonly [key: string, value: Uint8Array])[]
  /** A PNG. */
  readonly preview?: Uint8Array
  /** Where its data lies; undefined when it has none. */
  readonly data?: { readonly content: Uint8Array | string; readonly size: number }
}

/** Work that needs no room on the disk, and perhaps makes some. */
export const roomless: ReadonlySet<JobName> = new Set([
  'forget',
  'distrust',
  'prune',
  'sweep',
  'size',
  'history',
  'holdings',
  'snapshots',
  'entries',
  'entry',
  'locate',
  'past',
  'restore',
])

const indexesKept = 4

export function jobsOf(layout: Layout): Jobs {
  const objects = new Objects(layout.objects)
  const pins = new Map<string, number>()
  const indexes = new Map<string, Promise<import('../journal/index.js').JournalIndex>>()

  /** Reads a snapshot that nobody may prune meanwhile. */
  async function reading<R>(
    { uid, at }: Which,
    folder: string,
    read: (tree: SnapshotTree, id: string) => Promise<R>,
  ): Promise<R> {
    const shelf = new Shelf(layout, uid)
    const id = choose(shelf, at)
    return pinning(uid, [id], () => read(new SnapshotTree(objects, shelf.read(id), folder), id))
  }

  /** Works on snapshots that stay as long as it takes. */
  async function pinning<R>(uid: string, ids: readonly string[], work: () => Promise<R>): Promise<R> {
    const keys = ids.map((id) => `${uid}/${id}`)
    for (const key of keys) pins.set(key, (pins.get(key) ?? 0) + 1)
    try {
      return await work()
    } finally {
      for (const key of keys) {
        const left = (pins.get(key) ?? 1) - 1
        if (left === 0) pins.delete(key)
        else pins.set(key, left)
      }
    }
  }

  /** A snapshot never changes, so its index stays good; a few are kept for whoever pages through one. */
  async function indexOf(uid: string, id: string, tree: SnapshotTree) {
    const key = `${uid}/${id}`
    const { indexJournal } = await import('../journal/index.js')
    const index = indexes.get(key) ?? Promise.resolve().then(() => indexJournal(tree))
    indexes.delete(key)
    indexes.set(key, index)
    for (const old of [...indexes.keys()].slice(0, -indexesKept)) indexes.delete(old)
    index.catch(() => indexes.delete(key))
    return index
  }

  /** @param made is called when all is there, before it takes its place */
  const placed = ({ to, ...which }: Which & { to: string }, progress: Progress, made = () => {}) =>
    reading(which, datastore, async (tree, snapshot) => {
      const making = join(layout.scratch, `layout-${randomUUID()}`)
      await mkdir(dirname(to), { recursive: true, mode: 0o700 })
      try {
        // As rsync keeps links: marked, so that they lead nowhere while they lie here.
        await unfold(tree, making, ({ target }) => `/rsyncd-munged/${target}`, progress)
        made()
        await move(making, to)
      } finally {
        await removeTree(making)
      }
      return { snapshot }
    })

  return {
    async snapshot({ uid, unconfirmed = false, transfer }, progress) {
      const taken = await takeSnapshot(
        layout,
        uid,
        progress,
        { ...liveOf(layout, uid), unconfirmed },
        transfer,
      )
      if (!taken.fresh) return taken
      if (taken.held === undefined) {
        if (!unconfirmed) recover(layout, uid, taken.header.id)
      } else if (boundHolds(layout, uid, taken.held.id, taken.header.id))
        return { ...taken, held: { ...taken.held, inTurns: true } }
      return taken
    },
    async adopt({ uid, folder, directory, at, isNewest }, progress) {
      const source = { folder, places: { [datastore]: directory }, foreign: at }
      const taken = await takeSnapshot(layout, uid, progress, source)
      if (isNewest && isUntouched(layout, uid, taken.header.id)) {
        const to = join(layout.live(uid), datastore)
        // A session makes the folder, whatever it is for.
        await removeTree(to)
        // No mark says that a power cut may tear it, for no session writes it.
        await placed({ uid, at: taken.header.id, to }, progress, () => syncDisk(layout.root))
      }
      return taken
    },
    distrust: ({ uid, since }) => distrust(layout, uid, since),
    holdings: ({ uids }) => holdingsOf(layout, uids),
    snapshots: ({ uid }) => snapshotsOf(layout, uid),
    hold({ uid, at, why }) {
      const shelf = new Shelf(layout, uid)
      const id = choose(shelf, at)
      shelf.hold(id, { by: 'operator', why })
      return id
    },
    release({ uid, id }) {
      const shelf = new Shelf(layout, uid)
      const by: Hold['by'] | undefined = id === undefined ? 'brake' : undefined
      const ids = id === undefined ? shelf.ids() : [choose(shelf, id)]
      const released = ids.filter((one) => shelf.release(one, by))
      return { released, held: shelf.ids().filter((one) => shelf.held(one).length > 0) }
    },
    prune: (given) => prune(layout, given, (uid, id) => pins.has(`${uid}/${id}`)),
    sweep: (_, progress) => sweep(layout, progress),
    size: () => sizeOfObjects(layout),
    history: ({ uid, limit }) => weighHistory(layout, uid, limit, (id) => pins.has(`${uid}/${id}`)),
    verify: ({ uids, repair }, progress) => verify(layout, progress, { repair, ...(uids && { uids }) }),
    async forget({ uid }) {
      const away = join(layout.scratch, `forgotten-${randomUUID()}`)
      await mkdir(away, { mode: 0o700 })
      await moveIfThere(layout.snapshots(uid), join(away, 'snapshots'))
      await moveIfThere(layout.live(uid), join(away, 'live'))
      return away
    },
    discard({ uid, rotten }) {
      discard(layout, uid, rotten)
      // A damaged file that a power cut brings back has its old time: the laptop would not send it anew.
      syncDisk(layout.root)
    },
    entries: ({ query, ...which }) =>
      reading(which, datastore, async (tree, snapshot) => {
        const { search } = await import('../journal/search.js')
        return { ...search(await indexOf(which.uid, snapshot, tree), query), snapshot }
      }),
    entry({ entry, uid, at }) {
      // Deleted since, it is wanted from where it was last; what no snapshot has is told as of the newest.
      const last = at ?? locate(new Shelf(layout, uid), objects, [entry]).found.get(entry)
      return reading({ uid, at: last }, datastore, async (tree, snapshot) => {
        const { readEntry } = await import('../journal/entry.js')
        const { metadata, preview, data } = readEntry(tree, entry)
        return {
          snapshot,
          metadata: [...metadata],
          ...(preview && { preview }),
          ...(data && { data: { content: data.content, size: data.size } }),
        }
      })
    },
    locate: ({ uid, entries }) => locate(new Shelf(layout, uid), objects, entries),
    past({ uid, text }, progress) {
      const shelf = new Shelf(layout, uid)
      return pinning(uid, shelf.ids(), () => searchPast(shelf, objects, text, progress))
    },
    restore: (given, progress) =>
      reading(given, given.documents === true ? documents : datastore, async (tree, snapshot) => {
        const { content, facts } = await parcelOf(tree, given, progress)
        const socket = connect(given.socket)
        // The pipeline tells what goes wrong until all is on its way; a reader that leaves later must not end this process.
        socket.on('error', () => undefined)
        await pipeline(Readable.from(content, { objectMode: false }), socket)
        return { snapshot, ...facts() }
      }),
    layOut: (given, progress) => placed(given, progress),
    drill: ({ uids }, progress) => drill(layout, uids, progress),
  }
}

/** Moves a directory; one that may not be written, by its mode, has to be for that moment. */
async function move(from: string, to: string): Promise<void> {
  const mode = (await stat(from)).mode & 0o7777
  if ((mode & 0o200) === 0) await chmod(from, mode | 0o200)
  await rename(from, to)
  if ((mode & 0o200) === 0) await chmod(to, mode)
}

async function moveIfThere(from: string, to: string): Promise<void> {
  try {
    await move(from, to)
  } catch (error) {
    if (systemCode(error) !== 'ENOENT') throw error
  }
}

/** Whether nothing has come from a learner's laptop so far but what was taken over. */
function isUntouched(layout: Layout, uid: string, adopted: string): boolean {
  if (list(layout.live(uid), { [datastore]: datastore }).some(({ type }) => type !== 'directory'))
    return false
  const [newest] = new Shelf(layout, uid).wholes()
  // A laptop that was wiped on purpose is not filled again.
  return newest === undefined || newest.header.id === adopted || newest.header.entries === 0
}
