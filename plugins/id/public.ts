/** What other plugins may use of registration. */
import { fold, gate, news, token } from '../../core/api.js'

/** A child with a laptop, known by the laptop's key. */
export interface Learner {
  /** sha1 of the base64 key, 40 hex digits; also the local part of the learner's Jabber ID. */
  readonly uid: string
  readonly nickname: string
  /** Serials of the laptops that registered with this key, newest last. */
  readonly serials: readonly string[]
  /** Their uuids as the laptops gave them: a secret, not for logs and addresses. */
  readonly uuids: readonly string[]
  readonly keyType: string
  /** The key on one line: `ssh-dss AAAA...`. */
  readonly pubkey: string
  /** ISO 8601, UTC. */
  readonly registeredAt: string
  readonly lastSeen: string
  readonly flags: readonly Flag[]
}

/**
 * - alias: joined to another learner
 * - serial-conflict: a serial came with two keys
 * - shared-key: the key came from two XOs, as when a disk or stick was copied with the key on it
 * - no-backup-address: its laptop registered while backup did not run, and must register again
 * - demo: a demonstration's
 */
export type Flag = 'alias' | 'serial-conflict' | 'shared-key' | 'no-backup-address' | 'demo'

export { adviceOn, separately } from './flags.js'

/**
 * Who is registered. A learner whose laptop was replaced has several keys; an operator joined the newer ones to the
 * oldest ("same child"), and every lookup leads there.
 */
export interface Users {
  /** @param blob the key as base64 */
  byKey(blob: string): Promise<Learner | undefined>
  byUid(uid: string): Promise<Learner | undefined>
  /** Everyone who may be meant by a uid, the beginning of one (6 digits or more), a serial or a uuid. */
  find(who: string): Promise<Learner[]>
  /** All learners, one joined to another left out. */
  all(): AsyncIterable<Learner>
  /** All keys that registered, each with the learner it leads to. */
  keys(): AsyncIterable<Key>
}

/** A key, and whose it is. */
export interface Key {
  /** On one line: `ssh-dss AAAA...`. */
  readonly pubkey: string
  /** Uid of the learner. */
  readonly uid: string
}

export const Users = token<Users>('id/users@1')

/** A laptop that asks to be registered, its values checked. */
export interface Candidate {
  readonly uid: string
  readonly keyType: string
  readonly serial: string
  readonly uuid: string
  readonly nickname: string
  /** The laptop's network address. */
  readonly address: string
}

/**
 * Keys of the reply to a laptop, texts or structs of texts. Sugar reads the first three, which must be texts;
 * `config` maps to options of sugar-client. A plugin may add others: laptops that do not know a key pass it over.
 */
export interface Enrolment {
  backupurl?: string
  backuppath?: string
  jabberserver?: string
  config?: Readonly<Record<string, string>>
  [key: string]: string | Readonly<Record<string, string>> | undefined
}

// A laptop gives up after 8 s (docs/reference/protocols.md: registration, XML-RPC): gate and fold together stay below 6.
const seconds = 1.5

export const Registration = {
  /** May this laptop register? Throw a RequestError to say no; its text is what the child may see. */
  admit: gate<Candidate>('id/admit@1', { seconds }),
  /**
   * Keys for the reply to a registered laptop. They must be the same each time the laptop asks: tap with `required`
   * where an answer without them would be kept by the laptop and do harm, as an empty backupurl would.
   */
  enrol: fold<Enrolment, Learner>('id/enrol@1', { seconds }),
  /**
   * The learner of a demonstration leaves, and its registration is removed next: take away what you keep of it. Throw a
   * RequestError where that cannot be done now; then it stays. May be asked again for one of whom nothing is left.
   */
  leave: gate<Learner>('id/leave@1', { seconds: 40 }),
  /** A laptop registered for the first time. */
  registered: news<Learner>('id/registered@1'),
}
