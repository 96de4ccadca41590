import { Readable } from 'node:stream'
import type { Flag, Learner, Users } from '../id/public.js'
import type { Archivist, Asking } from './archive/archivist.js'
import type { Holding, SnapshotFacts } from './archive/holdings.js'
import type { Result } from './archive/jobs.js'
import type { Objects } from './archive/objects.js'
import { streamObject } from './archive/snapshot-tree.js'
import type { Query } from './journal/search.js'
import type { JournalStatus, Journals, OpenedEntry } from './public.js'
import type { Keeper } from './session/keeper.js'
import { type Ledger, type LedgerDoc, shareOf } from './session/ledger.js'

interface Parts {
  users: Users
  archivist: Archivist
  keeper: Keeper
  ledger: Ledger
  objects: Objects
}

/** The Journals as the archive has them, beside who is registered. What is under way is waited for. */
export class KeptJournals implements Journals {
  readonly #parts: Parts

  constructor(parts: Parts) {
    this.#parts = parts
  }

  async list(): Promise<JournalStatus[]> {
    const { users, archivist, keeper, ledger } = this.#parts
    await keeper.settled()
    const holdings = new Map((await archivist.run('holdings', {})).map((one) => [one.uid, one]))
    const rows: JournalStatus[] = []
    const rowOf = ({ uid, nickname, serials, flags }: Listed) => {
      const holding = holdings.get(uid)
      holdings.delete(uid)
      const doc = ledger.get(uid)
      return {
        uid,
        nickname,
        serials,
        // What the archive does not have was lost with its disk.
        lastGood: (holding && (doc?.lastGood ?? holding.lastGood?.at)) ?? null,
        snapshots: holding?.snapshots ?? 0,
        bytes: doc?.history === undefined ? (holding?.newest?.bytes ?? 0) : shareOf(doc),
        flags: flagsOf(doc, holding, flags),
      }
    }
    for await (const learner of users.all()) rows.push(rowOf(learner))
    // Their registrations are gone, or joined to another learner's; their work is here.
    for (const uid of [...holdings.keys()])
      rows.push(rowOf({ uid, nickname: ledger.get(uid)?.nickname ?? '', serials: [], flags: [] }))
    return rows
  }

  async snapshots(uid: string): Promise<SnapshotFacts[]> {
    await this.#parts.keeper.settled(uid)
    return this.#parts.archivist.run('snapshots', { uid })
  }

  async entries(uid: string, query: Query, at?: string, asking?: Asking): Promise<Result<'entries'>> {
    await this.#parts.keeper.settled(uid)
    return this.#parts.archivist.run('entries', { uid, query, at }, asking)
  }

  async open(uid: string, entry: string, at?: string): Promise<OpenedEntry> {
    const { keeper, archivist, objects } = this.#parts
    await keeper.settled(uid)
    const { snapshot, metadata, preview, data } = await archivist.run('entry', { uid, entry, at })
    return {
      snapshot,
      metadata: new Map(metadata),
      preview,
      size: data?.size,
      data() {
        if (data === undefined) return Readable.from([])
        const { content, size } = data
        return typeof content === 'string'
          ? Readable.from(streamObject(objects, content, size), { objectMode: false })
          : Readable.from([Buffer.from(content)], { objectMode: false })
      },
    }
  }
}

type Listed = Pick<Learner, 'uid' | 'nickname' | 'serials' | 'flags'>

/** Flags of a registration that say something of backups. */
const concerning: ReadonlySet<string> = new Set<Flag>(['shared-key', 'no-backup-address'])

/** What the archive says counts more than notes that somebody may have lost with the store. */
function flagsOf(
  doc: LedgerDoc | undefined,
  holding: Holding | undefined,
  registered: Learner['flags'],
): string[] {
  const flags = new Set<string>(doc?.flags.map(({ flag }) => flag))
  if ((holding?.braked.length ?? 0) > 0) flags.add('mass-change')
  for (const flag of registered) if (concerning.has(flag)) flags.add(flag)
  if (holding?.damaged !== undefined) flags.add('damaged')
  if (holding?.newest?.unconfirmed === true) flags.add('unconfirmed')
  if (holding?.newest?.incomplete !== undefined) flags.add('incomplete')
  return [...flags]
}
