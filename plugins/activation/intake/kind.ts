import { basename } from 'node:path'
import { firstSaid, withoutBlanks } from './lines.js'
import { type Shape, shapeOf } from './shape.js'
import type { Kind } from './tally.js'

/** What a file is. */
export type Recognised =
  | { readonly kind: Exclude<Kind, 'key' | 'laptops'> }
  | { readonly kind: 'laptops'; readonly shape: Shape }

/** What there is, for whoever brings something else. */
export const knownKinds =
  'known are leases.sig, d-lease.sig, d-oats.sig, server.pri with server.pub, stolen.list, laptops.dat, and lists of laptops (SN,UUID or school,SN,UUID, or with a heading, or a serial a line)'

/** Whether a file is half of a pair of keys, by its name: what is secret in it is not looked at for that. */
export const isKey = (name: string): boolean =>
  ['server.pri', 'server.pub'].includes(basename(name).toLowerCase())

const byName = new Map<string, Exclude<Recognised['kind'], 'laptops'>>([
  ['leases.sig', 'leases'],
  ['lease.sig', 'leases'],
  ['d-lease.sig', 'delegations'],
  ['d-oats.sig', 'delegations'],
  ['stolen.list', 'stolen'],
])

/**
 * What a file is: its content says it where it can, its name where it must.
 * @param name of the file, with or without directories
 * @returns undefined when it is nothing that is known
 */
export function recognise(name: string, bytes: Buffer): Recognised | undefined {
  const base = basename(name).toLowerCase()
  const kind = tagged(bytes) ?? byName.get(base)
  if (kind !== undefined) return { kind }
  const shape = base === 'laptops.dat' ? words : shapeOf(bytes)
  return shape === undefined ? undefined : { kind: 'laptops', shape }
}

const words: Shape = { form: 'words' }

function tagged(bytes: Buffer): 'leases' | 'delegations' | undefined {
  if (withoutBlanks(bytes).subarray(0, 4).toString('latin1') === '[1,{') return 'leases'
  const first = firstSaid(bytes)
  if (first?.startsWith('act01: ')) return 'leases'
  return first?.startsWith('del01: ') ? 'delegations' : undefined
}
