import type { Collection, CollectionSpec } from '../../core/api.js'

/** A key that registered, as it is kept. */
export interface UserDoc {
  uid: string
  nickname: string
  pubkey: string
  keyType: string
  serials: string[]
  uuids: string[]
  /** The uuids in lower case, to be found by. */
  uuidKeys: string[]
  registeredAt: string
  lastSeen: string
  /** Serials that came with another key as well. */
  conflicts: string[]
  /** What its laptop was not told, since the service did not run: it must register again. */
  lacks?: 'backup'
  /** The learner that an operator joined this key to. */
  aliasOf?: string
  /** It registered first with a serial of a demonstration, and never with another: it may leave by itself. */
  demo?: true
}

/** A serial, and whose it is. */
export interface MachineDoc {
  serial: string
  uuid: string
  /** The learner who registered it first. */
  uid: string
  firstSeen: string
  /** Other keys that came with this serial. Nobody of them gets at the owner's work. */
  claims: { uid: string; at: string }[]
}

/** A laptop that may register when registration is only for known ones. */
export interface KnownDoc {
  /** `serial:SHC00000000` or `uid:` with 40 hex digits. */
  entry: string
}

/** Those of a registration. */
export interface Shelves {
  users: Collection<UserDoc>
  machines: Collection<MachineDoc>
}

const users: CollectionSpec<UserDoc> = { key: 'uid', indexes: ['uuidKeys', 'aliasOf', 'lacks'] }
const machines: CollectionSpec<MachineDoc> = { key: 'serial' }
const known: CollectionSpec<KnownDoc> = { key: 'entry' }

export const collections = { users, machines, known }
