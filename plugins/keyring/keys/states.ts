import { SystemError } from '../../../core/api.js'
import { type Role, roles } from '../public.js'

export const states = ['active', 'retired', 'compromised'] as const

/**
 * - active: signs, and is trusted
 * - retired: signs no more, but what it has signed counts
 * - compromised: nothing of it counts
 */
export type State = (typeof states)[number]

/** What is kept of a key besides its halves. */
export interface Entry<S = State> {
  readonly id: string
  readonly role: Role
  readonly state: S
  /** ISO 8601, UTC. */
  readonly addedAt: string
}

/** As the file has it: a key is `removed` from when it is decided until no half of it is there any more. */
export type Written = Entry<State | 'removed'>

const written = [...states, 'removed'] as const

/** Bytes of the largest file of states: several thousand keys. */
export const largest = 1 << 20

/** In the order in which keys were added. */
export const formatStates = (entries: readonly Written[]): string =>
  `${JSON.stringify({ version: 1, keys: entries }, undefined, 1)}\n`

/** @throws SystemError DAMAGED, STORE_NEWER */
export function parseStates(text: string, path: string): Written[] {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    throw damaged(path, 'is no JSON')
  }
  const { version, keys } = (value ?? {}) as { version?: unknown; keys?: unknown }
  if (typeof version === 'number' && version > 1) {
    throw new SystemError('STORE_NEWER', `${path} was written by a newer version`, {
      hint: 'install that version again',
    })
  }
  if (version !== 1 || !Array.isArray(keys)) throw damaged(path, 'is no list of keys')
  const entries = keys.map((one: unknown, index) => {
    if (!isEntry(one)) throw damaged(path, `has something at ${index + 1} that is no key`)
    return { id: one.id, role: one.role, state: one.state, addedAt: one.addedAt }
  })
  if (new Set(entries.map(({ id }) => id)).size < entries.length) throw damaged(path, 'names a key twice')
  return entries
}

function isEntry(value: unknown): value is Written {
  if (typeof value !== 'object' || value === null) return false
  const { id, role, state, addedAt } = value as Partial<Record<keyof Written, unknown>>
  const isText = typeof id === 'string' && typeof addedAt === 'string'
  const isKnown = roles.includes(role as Role) && written.includes(state as Written['state'])
  return isText && isKnown && /^[0-9a-f]{64}$/.test(id) && !Number.isNaN(Date.parse(addedAt))
}

/** Without the states nobody knows which keys are compromised: nothing is guessed. */
export const damaged = (path: string, what: string): SystemError =>
  new SystemError('DAMAGED', `the states of the keys are lost: ${path} ${what}`, {
    hint: 'bring it back from a backup of the server; without one, move the directory away and import its keys again',
  })
