import type { UserDoc } from './documents.js'
import type { Flag, Learner } from './public.js'

/** Serials that the makers of XOs gave: three letters and eight hex digits. Other machines make up theirs each time. */
const xoSerial = /^(?:SHC|SHF|CSN)[0-9A-F]{8}$/
/** Machines without manufacturing data have these, many of them the same. */
const placeholder = /0{8}$/

/** Serials of XOs among those that came with one key. Two of them are two machines. */
export const xosOf = (serials: readonly string[]): readonly string[] =>
  serials.filter((serial) => xoSerial.test(serial) && !placeholder.test(serial))

/** What an operator should know of a key. */
export function flagsOf({ aliasOf, conflicts, serials, lacks, demo }: UserDoc): Flag[] {
  const flags: Flag[] = []
  if (aliasOf !== undefined) flags.push('alias')
  if (conflicts.length > 0) flags.push('serial-conflict')
  if (xosOf(serials).length > 1) flags.push('shared-key')
  if (lacks !== undefined) flags.push('no-backup-address')
  if (demo === true) flags.push('demo')
  return flags
}

/** Why a flag is there, and what to do; undefined for flags that need nothing. */
export function adviceOn(flag: Flag, { uid, serials }: Pick<Learner, 'uid' | 'serials'>): string | undefined {
  const short = uid.slice(0, 12)
  switch (flag) {
    case 'shared-key':
      return `the laptops ${xosOf(serials).join(' and ')} have the same key, so they are one learner here and back up over each other; ${separately(short)}`
    case 'no-backup-address':
      return 'it registered while backup did not run, and does not know where to back up: choose "Register" on the laptop again'
    case 'serial-conflict':
      return `a serial came with two keys: "id show ${short}" shows them`
    default:
      return undefined
  }
}

/** How two laptops with one key are made two learners. @param uid of the key */
export const separately = (uid: string): string =>
  `if both are in use, delete ~/.sugar/default/owner.key and owner.key.pub on one, restart Sugar, and register it; then, or where one replaced the other, run "id remove ${uid}" and register the one that keeps the key again: its backups stay`
