import { each } from '../../core/api.js'
import type { Shelves, UserDoc } from './documents.js'
import { flagsOf } from './flags.js'
import { isSerialOfOne, isUuid, isUuidOfOne } from './identity.js'
import { uidOf } from './key.js'
import type { Key, Learner, Users } from './public.js'

const wholeUid = /^[0-9a-f]{40}$/
const partOfUid = /^[0-9a-f]{6,39}$/

/** Finds learners by any of their names. */
export class Directory implements Users {
  readonly #shelves: Shelves

  constructor(shelves: Shelves) {
    this.#shelves = shelves
  }

  byKey(blob: string): Promise<Learner | undefined> {
    return this.byUid(uidOf(blob))
  }

  async byUid(uid: string): Promise<Learner | undefined> {
    const user = await this.#owner(await this.#user(uid))
    return user === undefined ? undefined : learnerOf(user)
  }

  async find(who: string): Promise<Learner[]> {
    const found = new Map<string, Learner>()
    for (const user of await this.#named(who.trim())) {
      const owner = await this.#owner(user)
      if (owner !== undefined) found.set(owner.uid, learnerOf(owner))
    }
    return [...found.values()]
  }

  async *all(): AsyncGenerator<Learner> {
    for await (const user of each(this.#shelves.users)) if (user.aliasOf === undefined) yield learnerOf(user)
  }

  async *keys(): AsyncGenerator<Key> {
    for await (const { pubkey, uid, aliasOf } of each(this.#shelves.users))
      yield { pubkey, uid: aliasOf ?? uid }
  }

  async #named(who: string): Promise<UserDoc[]> {
    const { users, machines } = this.#shelves
    const lower = who.toLowerCase()
    if (wholeUid.test(lower)) return present(await this.#user(lower))
    if (isUuid(who)) return isUuidOfOne(lower) ? users.find({ uuidKeys: lower }) : []
    const serial = who.toUpperCase()
    if (serial === '' || serial.length > 200 || !isSerialOfOne(serial)) return []
    // A word may be both: whoever made up a serial that looks like another's uid must not be taken for him.
    const machine = await machines.get(serial)
    const owner = machine === undefined ? [] : present(await this.#user(machine.uid))
    return partOfUid.test(lower) ? [...owner, ...(await this.#beginning(lower))] : owner
  }

  async #beginning(part: string): Promise<UserDoc[]> {
    const found: UserDoc[] = []
    for await (const user of each(this.#shelves.users)) if (user.uid.startsWith(part)) found.push(user)
    return found
  }

  async #user(uid: string): Promise<UserDoc | undefined> {
    return wholeUid.test(uid) ? this.#shelves.users.get(uid) : undefined
  }

  async #owner(user: UserDoc | undefined): Promise<UserDoc | undefined> {
    return user?.aliasOf === undefined ? user : this.#user(user.aliasOf)
  }
}

const present = (user: UserDoc | undefined): UserDoc[] => (user === undefined ? [] : [user])

/** A record as others see it. */
export function learnerOf(user: UserDoc): Learner {
  const { uid, nickname, serials, uuids, keyType, pubkey, registeredAt, lastSeen } = user
  return { uid, nickname, serials, uuids, keyType, pubkey, registeredAt, lastSeen, flags: flagsOf(user) }
}
