import type { Stored } from '../../core/api.js'
import type { MachineDoc, Shelves, UserDoc } from './documents.js'

/** All keys of a learner: the first one, and those that were joined to it. */
export async function keysOf({ users }: Shelves, uid: string): Promise<Stored<UserDoc>[]> {
  const first = await users.get(uid)
  return first === undefined ? [] : [first, ...(await users.find({ aliasOf: uid }))]
}

/** The machines that keys came with, theirs or in dispute. No index is needed: each key knows its serials. */
export async function machinesOf(
  { machines }: Shelves,
  keys: readonly UserDoc[],
): Promise<Stored<MachineDoc>[]> {
  const serials = new Set(keys.flatMap((key) => [...key.serials, ...key.conflicts]))
  const found = await Promise.all([...serials].map((serial) => machines.get(serial)))
  return found.filter((machine) => machine !== undefined)
}

export const isClaimedBy = (machine: MachineDoc, uid: string): boolean =>
  machine.claims.some((claim) => claim.uid === uid)
