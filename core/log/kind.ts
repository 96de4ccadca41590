import type { Logger } from 'pino'
import { asError, systemCode } from '../errors.js'
import { networkOf } from '../lib/client-address.js'
import { printable } from './printable.js'

/**
 * What lines are limited together. `fault`: warnings and errors. `learner`: what happened to a learner's work. `client`:
 * what clients at an address did, such as requests. `other`: the rest.
 */
export type Lane = 'fault' | 'learner' | 'client' | 'other'

/** What a line of the log is, as far as limits go. */
export interface Kind {
  readonly lane: Lane
  /** What it says, without names, numbers and paths. */
  readonly kind: string
  /** Who it comes from, within its lane: a learner, or a network (`networkOf`). */
  readonly source: string
}

const longest = 120
const warn = 40

/** A sentence without what differs from case to case: quoted words, and words with digits, slashes or the like. */
function shape(text: string): string {
  const known = shapes.get(text)
  if (known !== undefined) return known
  const found = text
    .slice(0, 500)
    .replace(/"[^"]*"|'[^']*'/g, '…')
    .replace(/[^\s,;:]*[\d/\\@][^\s,;:]*/g, '#')
    .slice(0, longest)
  if (shapes.size >= mostShapes) shapes.clear()
  if (text.length <= longest) shapes.set(text, found)
  return found
}

/** Most messages are the same each time. */
const shapes = new Map<string, string>()
const mostShapes = 500

/**
 * @param label of the level: `error`
 * @param words as a method of pino takes them: facts and a message, an error, or a message alone
 */
export function kindOf(plugin: string, level: number, label: string, words: readonly unknown[]): Kind {
  const [first, second] = words
  const facts: Record<string, unknown> = isFacts(first) ? first : {}
  const message = typeof first === 'string' ? first : typeof second === 'string' ? second : ''
  const status = typeof facts.status === 'number' ? ` ${facts.status}` : ''
  const said = `${label}${plugin === '' ? '' : ` ${plugin}`}: ${shape(message)}${status}`
  const learner = typeof facts.uid === 'string' ? facts.uid : ''
  const address = facts.ip ?? facts.address
  if (level >= warn) {
    const why = first instanceof Error ? first : facts.err
    const kind = why === undefined ? said : `${said}: ${reason(why)}`
    return { lane: 'fault', kind: printable(kind), source: learner }
  }
  if (learner !== '') return { lane: 'learner', kind: printable(said), source: learner }
  if (typeof address === 'string')
    return { lane: 'client', kind: printable(said), source: networkOf(address.slice(0, 64)) }
  return { lane: 'other', kind: printable(said), source: '' }
}

const isFacts = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null

function reason(thrown: unknown): string {
  const { name, message } = asError(thrown)
  return `${name} ${systemCode(thrown) ?? ''} ${shape(message)}`.slice(0, longest)
}

const names = new WeakMap<Logger, string>()

/** The plugin that a logger was made for. */
export function pluginOf(logger: Logger): string {
  let name = names.get(logger)
  if (name === undefined) {
    const { plugin } = logger.bindings()
    name = typeof plugin === 'string' ? plugin : ''
    names.set(logger, name)
  }
  return name
}
