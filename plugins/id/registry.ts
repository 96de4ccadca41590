import { type Change, RequestError, type Stored, StoreError } from '../../core/api.js'
import { Allowance } from './allowance.js'
import type { MachineDoc, Shelves, UserDoc } from './documents.js'
import { isDemoSerial, isSerialOfOne } from './identity.js'
import type { PublicKey } from './key.js'
import { isClaimedBy } from './machines.js'
import type { Candidate } from './public.js'

/** What came of a registration. */
export interface Registered {
  user: Stored<UserDoc>
  /** Whether the key is new here. */
  added: boolean
  /** The learner who had the serial first, when that is somebody else. */
  disputedWith?: string
}

/** Serials and uuids that are kept of one key: laptops that are no XO make up new ones each time. */
const mostAliases = 16
const mostClaims = 32
const mostTries = 8
/** Changes that one key may bring at once; a fifth of it more each hour. */
const mostChanges = 1000
const seenEvery = 3_600_000

/**
 * Who registered with which key and serial. The key is the identity; serials and uuids are names that several
 * learners may bring, and only the first owner of one is found by it.
 */
export class Registry {
  readonly #shelves: Shelves
  readonly #allowance: Allowance
  readonly #now: () => Date
  readonly #changes: Allowance
  readonly #turns = new Turns()

  constructor(shelves: Shelves, allowance: Allowance, now = () => new Date()) {
    this.#shelves = shelves
    this.#allowance = allowance
    this.#now = now
    this.#changes = new Allowance(mostChanges, () => now().getTime())
  }

  /**
   * Registers a key, or notes that it came again. Both records are on the disk when this resolves; a registration
   * cut short in between is completed when the laptop asks again, and stands in nobody's way if it never does.
   * @throws RequestError TOO_MANY when the address has used up its allowance
   */
  register(candidate: Candidate, key: PublicKey): Promise<Registered> {
    return this.#turns.take(candidate.uid, () => this.#register(candidate, key))
  }

  /** Notes what the reply to a learner's laptop had to leave out; undefined when it lacked nothing. */
  async lacks(uid: string, what: UserDoc['lacks']): Promise<void> {
    const look = () => this.#shelves.users.get(uid)
    await insistently(await look(), look, async (user) => {
      if (user !== undefined && user.lacks !== what)
        await this.#shelves.users.update(uid, user.rev, { lacks: what })
    })
  }

  async #register(candidate: Candidate, key: PublicKey): Promise<Registered> {
    const { uid, serial } = candidate
    const look = () => this.#shelves.users.get(uid)
    const before = await look()
    this.#charge(before, candidate)
    const owner = before?.aliasOf ?? uid
    const [kept, rival] = await Promise.all([
      insistently(before, look, (user) => this.#keepUser(user, candidate, key)),
      this.#keepMachine(candidate, owner, before),
    ])
    if (rival === undefined) return kept
    await this.#noteConflict(rival, serial)
    const user = await this.#noteConflict(uid, serial)
    if (user === undefined)
      throw new RequestError('NOT_FOUND', 'this registration was removed; register again')
    return { ...kept, user, disputedWith: rival }
  }

  /**
   * Before anything is written: what is refused must leave nothing behind. Who is known pays from a purse of his own,
   * so that a flood of new laptops does not keep out those that are here.
   */
  #charge(before: UserDoc | undefined, candidate: Candidate): void {
    if (before === undefined) {
      if (this.#allowance.take(candidate.address)) return
      throw new RequestError('TOO_MANY', 'too many new laptops from this network; try again in an hour')
    }
    if (changeOf(before, candidate) === undefined || this.#changes.take(candidate.uid)) return
    throw new RequestError('TOO_MANY', 'this laptop has changed too often; try again in an hour')
  }

  async #keepUser(
    user: Stored<UserDoc> | undefined,
    candidate: Candidate,
    key: PublicKey,
  ): Promise<Registered> {
    const { users } = this.#shelves
    const now = this.#now().toISOString()
    const change = user === undefined ? undefined : changeOf(user, candidate)
    if (user === undefined) return { user: await users.insert(newUser(candidate, key, now)), added: true }
    const stale = Date.parse(now) - Date.parse(user.lastSeen) >= seenEvery
    if (change === undefined && !stale) return { user, added: false }
    const written = await users.update(user.uid, user.rev, { ...change, lastSeen: now })
    return { user: written, added: false }
  }

  /**
   * @param before the user as it was: undefined for a new key, whose serial is most likely new too
   * @returns the learner who had the serial before, when that is somebody else
   */
  async #keepMachine(
    candidate: Candidate,
    owner: string,
    before: UserDoc | undefined,
  ): Promise<string | undefined> {
    const { serial } = candidate
    if (!isSerialOfOne(serial)) return undefined
    const look = () => this.#shelves.machines.get(serial)
    return this.#turns.take(`serial ${serial}`, async () =>
      insistently(before === undefined ? undefined : await look(), look, (machine) =>
        this.#claim(machine, candidate, owner, before?.uuids),
      ),
    )
  }

  async #claim(
    machine: Stored<MachineDoc> | undefined,
    { uid, serial, uuid }: Candidate,
    owner: string,
    known: readonly string[] = [],
  ): Promise<string | undefined> {
    const { machines, users } = this.#shelves
    const now = this.#now().toISOString()
    if (machine === undefined) {
      await machines.insert({ serial, uuid, uid: owner, firstSeen: now, claims: [] })
      return undefined
    }
    // A serial stays its first owner's, also when newer ones have pushed it from the list.
    if (machine.uid === owner || machine.uid === uid) {
      // One that the learner brought before is known, and changes nothing: each write costs an allowance.
      if (!known.includes(uuid)) await machines.update(serial, machine.rev, { uuid })
      return undefined
    }
    if (!this.#turns.taken(machine.uid) && (await users.get(machine.uid)) === undefined) {
      // Left by a registration that was cut short.
      await machines.update(serial, machine.rev, { uid: owner, uuid })
      return undefined
    }
    if (!isClaimedBy(machine, uid) && machine.claims.length < mostClaims) {
      const claims = [...machine.claims, { uid, at: now }]
      await machines.update(serial, machine.rev, { claims })
    }
    return machine.uid
  }

  /** Notes a dispute with one of its parties, so that an operator who looks at either sees it. */
  async #noteConflict(uid: string, serial: string): Promise<Stored<UserDoc> | undefined> {
    const { users } = this.#shelves
    const look = () => users.get(uid)
    return insistently(await look(), look, async (user) => {
      if (user === undefined || user.conflicts.includes(serial)) return user
      return users.update(uid, user.rev, { conflicts: [...user.conflicts, serial].slice(-mostAliases) })
    })
  }
}

/** Lets one in after the other for each name, so that a whole class does not race for one document. */
class Turns {
  readonly #last = new Map<string, Promise<unknown>>()

  taken(name: string): boolean {
    return this.#last.has(name)
  }

  async take<R>(name: string, work: () => Promise<R>): Promise<R> {
    const before = this.#last.get(name)
    const turn = before === undefined ? work() : before.then(work, work)
    this.#last.set(name, turn)
    try {
      return await turn
    } finally {
      if (this.#last.get(name) === turn) this.#last.delete(name)
    }
  }
}

/** Works on a document until nobody else has changed it in between. */
async function insistently<D, R>(first: D, look: () => Promise<D>, work: (doc: D) => Promise<R>): Promise<R> {
  for (let doc = first, tries = 1; ; doc = await look(), tries += 1) {
    try {
      return await work(doc)
    } catch (error) {
      if (!(error instanceof StoreError && error.code === 'STORE_CONFLICT') || tries === mostTries)
        throw error
    }
  }
}

function newUser(candidate: Candidate, key: PublicKey, now: string): UserDoc {
  const { uid, nickname, serial, uuid } = candidate
  return {
    uid,
    nickname,
    pubkey: `${key.type} ${key.blob}`,
    keyType: key.type,
    serials: [serial],
    uuids: [uuid],
    uuidKeys: [uuid.toLowerCase()],
    registeredAt: now,
    lastSeen: now,
    conflicts: [],
    // Only as long as it has no other: whoever knows a child's key must not make a demonstration of its learner.
    ...(isDemoSerial(serial) && { demo: true as const }),
  }
}

/** What is new about a key that came again; undefined when nothing is. */
function changeOf(user: UserDoc, candidate: Candidate): Change<UserDoc> | undefined {
  const { nickname, serial, uuid } = candidate
  const change: { -readonly [K in keyof Change<UserDoc>]: Change<UserDoc>[K] } = {}
  if (user.nickname !== nickname) change.nickname = nickname
  if (user.demo === true && !isDemoSerial(serial)) change.demo = undefined
  if (!user.serials.includes(serial)) change.serials = [...user.serials, serial].slice(-mostAliases)
  if (!user.uuids.includes(uuid)) {
    change.uuids = [...user.uuids, uuid].slice(-mostAliases)
    change.uuidKeys = change.uuids.map((one) => one.toLowerCase())
  }
  return Object.keys(change).length === 0 ? undefined : change
}
