import { printable } from '../../log/printable.js'

/** How rules are written: `old` up to protocol 28, where only `+ `, `- ` and `!` mean something; `new` from 29 on. */
export type RulePrefixes = 'old' | 'new'

// Rules of this form only choose among names. Sides (s, r), perishable (p), xattr (x), absolute (/), negated (!).
const harmless = /^[+-][/!prsx]* ./s
const clearList = '!'

/** Characters of a rule that are shown to people. */
const shown = 60

/**
 * Judges one rule of the filter list that an rsync client sends (rsync(1): FILTER RULES). Only the forms that rsync's
 * own client sends are accepted, and of these only what does not have the server open a file.
 * @param rule as it came
 * @returns why it is refused, as a sentence without a full stop; undefined when it is accepted
 */
export function ruleFault(rule: Buffer, prefixes: RulePrefixes): string | undefined {
  const text = rule.toString('latin1')
  if (text.includes('\0')) return `${named(text)} is refused: it holds a NUL`
  if (prefixes === 'old' || text === clearList || harmless.test(text)) return undefined
  return `${named(text)} is refused: ${reasonFor(text)}`
}

function reasonFor(text: string): string {
  const isMerge = /^(?:\.|:|merge(?![a-z])|dir-merge(?![a-z]))/.test(text)
  if (isMerge) return 'it has the server read a file of rules'
  if (/^[+-][^ _]*C/.test(text)) return 'it has the server read files of CVS rules'
  return 'it is not a rule that an rsync client sends'
}

function named(text: string): string {
  const short = text.length > shown ? `${text.slice(0, shown)}...` : text
  return `the filter rule ${JSON.stringify(printable(short))}`
}
