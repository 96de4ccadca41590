import { createHash } from 'node:crypto'
import {
  type Context,
  type DiskFault,
  diskFault,
  RequestError,
  type Stored,
  StoreError,
} from '../../core/api.js'
import { learnerOf } from './directory.js'
import type { UserDoc } from './documents.js'
import { addressOf, hostOf, type Reached } from './host.js'
import { parseNickname, parseSerial, parseUuid } from './identity.js'
import { parsePublicKey } from './key.js'
import { type Candidate, type Enrolment, type Learner, Registration, type Users } from './public.js'
import type { Registry } from './registry.js'

/** Bytes of a registration at most: the longest key and nickname, the latter all character references. */
export const applicationLimit = 16 << 10

/** What a laptop says of itself, unchecked. */
export interface Application {
  serial: unknown
  nickname: unknown
  uuid: unknown
  pubkey: unknown
  /** Network address that it came from. */
  address: string
  /** How it reached this server. */
  reached: Reached
}

/** What a registered laptop is told. */
export interface Welcome {
  uid: string
  reply: Required<Pick<Enrolment, 'backupurl' | 'backuppath' | 'jabberserver'>> & Enrolment
}

/** Options that the reply depends on. */
export interface ReceptionConfig {
  readonly 'jabber-server': string
  readonly hostname: string
  readonly plugins: readonly string[]
}

type Hooks = Pick<Context<never, never, never, never, never>, 'ask' | 'gather' | 'tell' | 'log'>

/** The way of a laptop through registration, whichever door it came by. */
export class Reception {
  readonly #registry: Registry
  readonly #users: Users
  readonly #hooks: Hooks
  readonly #config: ReceptionConfig

  constructor(registry: Registry, users: Users, hooks: Hooks, config: ReceptionConfig) {
    this.#registry = registry
    this.#users = users
    this.#hooks = hooks
    this.#config = config
  }

  /** @throws RequestError whose text the child may see */
  async register(application: Application): Promise<Welcome> {
    try {
      return await this.#register(application)
    } catch (error) {
      // Operators are asked why by teachers: the answer to the laptop looks like any other in the access log.
      if (error instanceof RequestError)
        this.#hooks.log.info({ code: error.code }, `refused: ${error.message}`)
      throw error
    }
  }

  async #register(application: Application): Promise<Welcome> {
    const { serial, nickname, uuid, pubkey, address, reached } = application
    const key = parsePublicKey(asText(pubkey, 'public key'))
    const candidate: Candidate = {
      uid: key.uid,
      keyType: key.type,
      serial: parseSerial(asText(serial, 'serial number')),
      uuid: parseUuid(asText(uuid, 'uuid')),
      nickname: parseNickname(asText(nickname, 'nickname')),
      address,
    }
    await this.#hooks.ask(Registration.admit, candidate)
    const { user, added, disputedWith } = await kept(() => this.#registry.register(candidate, key))
    const learner =
      user.aliasOf === undefined ? learnerOf(user) : ((await this.#users.byUid(user.uid)) ?? learnerOf(user))
    if (disputedWith !== undefined) {
      const facts = { uid: user.uid, serial: candidate.serial, owner: disputedWith }
      this.#hooks.log.warn(
        facts,
        'a serial came with another key: if it is the same child, join the two with "id alias"',
      )
    }
    if (added) this.#hooks.tell(Registration.registered, learner)
    const enrolled = await this.#enrol(learner)
    await this.#noteBackup(user, { added, hasBackup: enrolled.backupurl !== '' })
    return { uid: user.uid, reply: this.#replyOf(enrolled, reached) }
  }

  /** What a registered laptop was told. @returns undefined when it is not registered */
  async recall(learner: Learner, reached: Reached): Promise<Welcome & { stamp: string }> {
    const enrolled = await this.#enrol(learner)
    const reply = this.#replyOf(enrolled, reached)
    // The same by whatever name the laptop asks.
    const told = { ...enrolled, jabberserver: enrolled.jabberserver || this.#config['jabber-server'] }
    // Clients register again when the stamp changes (docs/reference/protocols.md: registration, JSON REST).
    const stamp = createHash('sha1')
      .update(JSON.stringify([learner.uid, told]))
      .digest('hex')
    return { uid: learner.uid, reply, stamp }
  }

  async #enrol(learner: Learner): Promise<Welcome['reply']> {
    const enrolled = await this.#gathered(learner)
    // Sugar dies of a reply in which one of these is missing or no string (docs/reference/protocols.md: registration, XML-RPC).
    return { backupurl: '', backuppath: '', jabberserver: '', ...this.#sound(enrolled) }
  }

  /**
   * Sugar keeps `jabberserver` and registers there the next time: an empty one would erase the name by which the laptop
   * has just found this server. So it is told that very name, unless an option or a plugin has another.
   */
  #replyOf(enrolled: Welcome['reply'], { host, localAddress }: Reached): Welcome['reply'] {
    const { 'jabber-server': jabberServer, hostname } = this.#config
    const own = hostname === defaultHostname ? (addressOf(localAddress) ?? hostname) : hostname
    const jabberserver = enrolled.jabberserver || jabberServer || (hostOf(host) ?? own)
    return { ...enrolled, jabberserver }
  }

  /**
   * Sugar keeps `backupurl` too, and an empty one erases what it had. While backup does not run, a laptop that has one
   * is told to come again; a new one is registered without, and listed until it registers again.
   */
  async #noteBackup(
    user: Stored<UserDoc>,
    { added, hasBackup }: { added: boolean; hasBackup: boolean },
  ): Promise<void> {
    if (hasBackup ? user.lacks === undefined : !this.#config.plugins.includes('backup')) return
    if (!hasBackup && !added && user.lacks === undefined) throw laterAgain()
    await kept(() => this.#registry.lacks(user.uid, hasBackup ? undefined : 'backup'))
  }

  async #gathered(learner: Learner): Promise<Enrolment> {
    try {
      return await this.#hooks.gather(Registration.enrol, {}, learner)
    } catch (cause) {
      // Sugar would keep an empty address and never back up again: better to have it ask once more.
      throw laterAgain(cause)
    }
  }

  /** The additions that are what they should be; plugins are not always. */
  #sound(enrolled: Enrolment): Enrolment {
    const sound: Enrolment = {}
    const leftOut = (key: string, reason: string) =>
      this.#hooks.log.error({ key }, `the reply's ${key} was left out: ${reason}`)
    for (const [name, value] of Object.entries(enrolled as Record<string, unknown>)) {
      if (ours.has(name)) leftOut(name, 'no plugin may set it')
      else if (typeof value === 'string') sound[name] = value
      else if (texts.has(name)) leftOut(name, 'it must be text')
      else if (typeof value !== 'object' || value === null || Array.isArray(value))
        leftOut(name, 'it must be text or a struct of texts')
      else sound[name] = soundStruct(value, (inner) => leftOut(`${name}.${inner}`, 'it must be text'))
    }
    return sound
  }
}

/** The option `hostname` where nothing else was set. */
const defaultHostname = 'schoolserver'

const laterAgain = (cause?: unknown): RequestError =>
  new RequestError(
    'UNAVAILABLE',
    'the school server cannot say now where your work is kept; try again later',
    { cause },
  )

/** Keys of the reply that no plugin may set: they say how it went, and whose it is. */
const ours = new Set(['success', 'error', 'uid'])
/** Keys that Sugar keeps as texts. */
const texts = new Set(['backupurl', 'backuppath', 'jabberserver'])

/** Several plugins fill a struct: what one of them does wrong does not cost the others theirs. */
function soundStruct(struct: object, leftOut: (name: string) => void): Record<string, string> {
  const entries = Object.entries(struct).filter((entry): entry is [string, string] => {
    if (typeof entry[1] === 'string') return true
    leftOut(entry[0])
    return false
  })
  return Object.fromEntries(entries)
}

function asText(value: unknown, what: string): string {
  if (typeof value !== 'string') throw new RequestError('REQUEST_INVALID', `the ${what} must be text`)
  return value
}

/** Tells a child what a store that cannot write means for it. */
async function kept<R>(work: () => Promise<R>): Promise<R> {
  try {
    return await work()
  } catch (error) {
    if (!(error instanceof StoreError && error.status === 503)) throw error
    const what = notKept[diskFault(error) ?? 'read-only']
    throw new RequestError('UNAVAILABLE', `${what}; tell your teacher, and try again later`, {
      cause: error,
    })
  }
}

const notKept: Readonly<Record<DiskFault, string>> = {
  full: 'the school server has no room to keep this',
  failing: 'the disk of the school server is failing, so it cannot keep this',
  'read-only': 'the school server cannot keep this now',
}
