import { RequestError, type Stored } from '../../core/api.js'
import type { MachineDoc, UserDoc } from './documents.js'
import type { Shelves } from './registry.js'

/**
 * "Same child": joins the key of a new laptop to the learner who had another before. From then on every lookup of
 * the new key leads to the old learner, and their disputes about serials are settled.
 * @param newUid a uid that exists
 * @param oldUid another one
 * @throws RequestError when both are the same learner already
 */
export async function join(shelves: Shelves, newUid: string, oldUid: string): Promise<void> {
  const { users, machines } = shelves
  const newer = await mustGet(shelves, newUid)
  const older = await mustGet(shelves, (await mustGet(shelves, oldUid)).aliasOf ?? oldUid)
  if (newer.uid === older.uid || newer.aliasOf === older.uid) {
    throw new RequestError('REQUEST_INVALID', 'these two are the same learner already')
  }
  for (const follower of [newer, ...(await users.find({ aliasOf: newer.uid }))]) {
    await users.update(follower.uid, follower.rev, { aliasOf: older.uid })
  }
  for (const machine of await machines.find({ uid: newer.uid })) {
    await machines.update(machine.serial, machine.rev, { uid: older.uid })
  }
  await settle(shelves, newer.uid, older.uid)
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
  for (const follower of await users.find({ aliasOf: uid })) await part(shelves, follower.uid)
  for (const { serial, claimants } of await machines.find({ uid })) {
    await machines.remove(serial)
    for (const claimant of claimants) await clear(shelves, claimant, serial)
  }
  for (const machine of await machines.find({ claimants: uid })) {
    const claims = machine.claims.filter((claim) => claim.uid !== uid)
    await machines.update(machine.serial, machine.rev, {
      claims,
      claimants: claims.map((claim) => claim.uid),
    })
    if (claims.length === 0) await clear(shelves, machine.uid, machine.serial)
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
  await machines.update(serial, machine.rev, { claims, claimants: claims.map((claim) => claim.uid) })
  for (const party of [machine.uid, uid]) {
    const user = await users.get(party)
    if (user === undefined || user.conflicts.includes(serial)) continue
    await users.update(party, user.rev, { conflicts: [...user.conflicts, serial] })
  }
}

/** Ends the disputes between two keys of one learner. */
async function settle(shelves: Shelves, newUid: string, oldUid: string): Promise<void> {
  const { machines } = shelves
  const disputed = [
    ...(await machines.find({ claimants: newUid })),
    ...(await machines.find({ claimants: oldUid })),
  ]
  for (const machine of disputed) {
    if (machine.uid !== oldUid) continue
    const claims = machine.claims.filter(({ uid }) => uid !== newUid && uid !== oldUid)
    const fresh = await machines.get(machine.serial)
    if (fresh === undefined) continue
    await machines.update(machine.serial, fresh.rev, { claims, claimants: claims.map(({ uid }) => uid) })
    await clear(shelves, newUid, machine.serial)
    if (claims.length === 0) await clear(shelves, oldUid, machine.serial)
  }
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
