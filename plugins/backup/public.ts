/** What other plugins may use of backup. */
import type { Readable } from 'node:stream'
import { news, token } from '../../core/api.js'
import type { SnapshotFacts } from './archive/holdings.js'
import type { JournalEntry } from './journal/index.js'
import type { Found, Query } from './journal/search.js'
import type { Kept } from './session/keeper.js'
import type { Flag } from './session/ledger.js'

export type { Flag, Found, JournalEntry, Kept, Query, SnapshotFacts }

/** A learner's backups. */
export interface JournalStatus {
  readonly uid: string
  readonly nickname: string
  readonly serials: readonly string[]
  /** When a backup last ended well and complete, ISO 8601, UTC; null when none ever did. */
  readonly lastGood: string | null
  /** How many there are. */
  readonly snapshots: number
  /** Of the disk, in all: what the laptop sent last, its logs, and the history. Quotas bound it. */
  readonly bytes: number
  /** `shared-key` and `no-backup-address` as registration says; `mass-change`, `over-quota`, `near-quota`, `snapshot-failed`, `damaged`, `unconfirmed`, `incomplete`; why, tell `flagged` and the log. */
  readonly flags: readonly string[]
}

/** An entry of a Journal. */
export interface OpenedEntry {
  /** The snapshot that it is from. */
  readonly snapshot: string
  /** Values as the laptop wrote them: any bytes. */
  readonly metadata: ReadonlyMap<string, Uint8Array>
  /** A PNG. */
  readonly preview: Uint8Array | undefined
  /** Bytes; undefined when it has no data. */
  readonly size: number | undefined
  /** Its data, checked against its hash on the way; an entry without any has none. */
  data(): Readable
}

/**
 * The Journals that are kept. A snapshot is named by its id, or by a date or time (`2026-11-20`, `2026-11-20T10:11`,
 * UTC) for the newest one by then; not said, it is the newest, or the one that the brake holds.
 */
export interface Journals {
  /** Everyone who is registered or has backups. */
  list(): Promise<JournalStatus[]>
  /** Oldest first. */
  snapshots(uid: string): Promise<SnapshotFacts[]>
  /** @throws RequestError NOT_FOUND */
  entries(uid: string, query: Query, at?: string): Promise<Found & { snapshot: string }>
  /**
   * Without `at`, an entry that was deleted since is taken from the snapshot in which it was last.
   * @throws RequestError NOT_FOUND, SystemError DAMAGED
   */
  open(uid: string, entry: string, at?: string): Promise<OpenedEntry>
}

export const Journals = token<Journals>('backup/journals@1')

export const Backup = {
  /** A laptop's backup ended well, and the archive has it. */
  kept: news<Kept>('backup/kept@1'),
}
