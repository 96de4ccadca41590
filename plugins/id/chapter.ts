import type { Chapter } from '../../core/api.js'
import { learnerOf } from './directory.js'
import type { Shelves } from './documents.js'
import { adviceOn } from './flags.js'
import { isClaimedBy, keysOf, machinesOf } from './machines.js'
import type { Learner } from './public.js'

/** Everything that registration knows of a learner: keys, laptops, disputes. */
export async function chapterOf(shelves: Shelves, learner: Learner): Promise<Chapter> {
  const kept = await keysOf(shelves, learner.uid)
  const keys = kept.map(learnerOf)
  const machines = await machinesOf(shelves, kept)
  const owned = machines.filter(({ uid }) => uid === learner.uid)
  const claimed = machines.filter((machine) => kept.some(({ uid }) => isClaimedBy(machine, uid)))
  const lines = [`learner    ${learner.uid}  ${learner.nickname}`]
  for (const key of keys) {
    const joined = key.uid === learner.uid ? '' : ', joined by an operator'
    lines.push(
      `key        ${key.uid.slice(0, 12)}  ${key.keyType}, registered ${key.registeredAt}, last seen ${key.lastSeen}${joined}`,
    )
  }
  for (const { serial, firstSeen, claims } of owned) {
    lines.push(`laptop     ${serial}  since ${firstSeen}`)
    for (const { uid, at } of claims)
      lines.push(
        `dispute    ${serial}  came with another key on ${at}: ${uid}; the same child? id alias ${uid} ${learner.uid}`,
      )
  }
  for (const { serial, uid } of claimed) {
    lines.push(`dispute    ${serial}  belongs to ${uid}; the same child? id alias ${learner.uid} ${uid}`)
  }
  for (const flag of ['shared-key', 'no-backup-address'] as const) {
    for (const key of keys.filter(({ flags }) => flags.includes(flag)))
      lines.push(`${flag === 'shared-key' ? 'shared key' : 'no backup'}  ${adviceOn(flag, key)}`)
  }
  const facts = {
    ...learner,
    keys: keys.map(({ uid, keyType, pubkey, registeredAt, lastSeen }) => ({
      uid,
      keyType,
      pubkey,
      registeredAt,
      lastSeen,
    })),
    laptops: owned.map(({ serial, uuid, firstSeen, claims }) => ({ serial, uuid, firstSeen, claims })),
    disputes: claimed.map(({ serial, uid }) => ({ serial, owner: uid })),
  }
  return { lines, facts }
}

/** Several learners may be meant, and nothing is told of any of them before it is known which. */
export function chapterOfSeveral(who: string, found: readonly Learner[]): Chapter {
  const lines = [`several    ${who} may be any of these; ask for one by its uid`]
  for (const { uid, nickname } of found) lines.push(`learner    ${uid}  ${nickname}`)
  return { lines, facts: { several: found.map(({ uid, nickname }) => ({ uid, nickname })) } }
}
