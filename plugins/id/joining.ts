import { RequestError, type Stored } from '../../core/api.js'
import type { MachineDoc, Shelves, UserDoc } from './documents.js'
import { isClaimedBy, keysOf, machinesOf } from './machines.js'

/**
 * "Same child": joins the key of a new laptop to the learner who had another before. From then on every lookup of
 * the new key leads to the old learner, and their disputes about serials are settled.
 * @param newUid a uid that exists
 * @param oldUid another one
 * @throws RequestError when both are the same learner already
 */
export async function join(shelves: Shelves, newUid: string, oldUid: string): Promise<void> {
  const { users, machines } = shelves
  const joined = await mustGet(shelves, newUid)
  const older = await mustGet(shelves, (await mustGet(shelves, oldUid)).aliasOf ?? oldUid)
  if (joined.uid === older.uid || joined.aliasOf === older.uid) {
    throw new RequestError('REQUEST_INVALID', 'these two are the same learner already')
  }
  // Joined to the wrong child before: its laptops must not stay there.
  if (joined.aliasOf !== undefined) await part(shelves, newUid)
  const newer = await mustGet(shelves, newUid)
  const keys = await keysOf(shelves, newer.uid)
  for (const machine of await machinesOf(shelves, keys)) {
    if (machine.uid === newer.uid) await machines.update(machine.serial, machine.rev, { uid: older.uid })
  }
  for (const key of keys) await users.update(key.uid, key.rev, { aliasOf: older.uid })
  await settle(shelves, older.uid)
}

/**
 * Takes a join back: the key is a learner of its own again, with the serials that only it brought.
 * @throws RequestError when it was joined to nobody
 */
export async function part(shelves: Shelves, uid: string): Promise<void> {
  const { users, machines } = shelves
  const user = await mustGet(shelves, uid)
  if (user.aliasOf === undefined) throw new RequestError('REQUEST_INVALID', 'it is joined to nobody')
  const other = await users.get(user.aliasOf)
  await users.update(uid, user.rev, { aliasOf: undefined })
  for (const serial of user.serials) {
    const machine = await machines.get(serial)
    if (machine !== undefined && machine.uid === other?.uid && !other.serials.includes(serial)) {
      await machines.update(serial, machine.rev, { uid })
    }
  }
}

/** Removes a registration. What the learner backed up is not touched; the laptop may register again. */
export async function removeUser(shelves: Shelves, uid: string): Promise<void> {
  const { users, machines } = shelves
  if ((await mustGet(shelves, uid)).aliasOf !== undefined) await part(shelves, uid)
  for (const follower of await users.find({ aliasOf: uid })) await part(shelves, follower.uid)
  for (const machine of await machinesOf(shelves, await keysOf(shelves, uid))) {
    const { serial, claims } = machine
    const [heir, ...others] = claims
    if (machine.uid === uid && heir !== undefined) {
      // Whoever came with it next has it now; it must not lie about for anybody to pick up.
      await machines.update(serial, machine.rev, { uid: heir.uid, claims: others })
      if (others.length === 0) await clear(shelves, heir.uid, serial)
    } else if (machine.uid === uid) {
      await machines.remove(serial)
    } else if (isClaimedBy(machine, uid)) {
      await withdraw(shelves, machine, (claim) => claim.uid === uid)
    }
  }
  await users.remove(uid)
}

/** Opens a dispute: a key came with a serial that is somebody else's. */
export async function dispute(
  { users, machines }: Shelves,
  machine: Stored<MachineDoc>,
  uid: string,
  at: string,
): Promise<void> {
  const { serial } = machine
  const claims = [...machine.claims, { uid, at }]
  await machines.update(serial, machine.rev, { claims })
  for (const party of [machine.uid, uid]) {
    const user = await users.get(party)
    if (user === undefined || user.conflicts.includes(serial)) continue
    await users.update(party, user.rev, { conflicts: [...user.conflicts, serial] })
  }
}

/** Ends the disputes among the keys of one learner. */
async function settle(shelves: Shelves, uid: string): Promise<void> {
  const keys = await keysOf(shelves, uid)
  const uids = new Set(keys.map((key) => key.uid))
  for (const machine of await machinesOf(shelves, keys)) {
    if (machine.uid === uid) await withdraw(shelves, machine, (claim) => uids.has(claim.uid))
  }
}

/** Takes claims on a machine back, and the mark of a dispute from everyone who has none left about it. */
async function withdraw(
  shelves: Shelves,
  machine: Stored<MachineDoc>,
  ends: (claim: MachineDoc['claims'][number]) => boolean,
): Promise<void> {
  const { serial } = machine
  const gone = machine.claims.filter(ends)
  if (gone.length === 0) return
  const claims = machine.claims.filter((claim) => !ends(claim))
  await shelves.machines.update(serial, machine.rev, { claims })
  for (const claim of gone) await clear(shelves, claim.uid, serial)
  if (claims.length === 0) await clear(shelves, machine.uid, serial)
}

async function clear({ users }: Shelves, uid: string, serial: string): Promise<void> {
  const user = await users.get(uid)
  if (user === undefined || !user.conflicts.includes(serial)) return
  await users.update(uid, user.rev, { conflicts: user.conflicts.filter((one) => one !== serial) })
}

async function mustGet({ users }: Shelves, uid: string): Promise<Stored<UserDoc>> {
  const user = await users.get(uid)
  if (user === undefined) throw new RequestError('NOT_FOUND', `nobody is registered as ${uid}`)
  return user
}
