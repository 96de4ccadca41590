import { createHash } from 'node:crypto'
import type { Moment } from '../wire/moment.js'

/** Something that is to be remembered for good. Holds no uuid and nothing of a private key. */
export interface AuditEntry {
  /** Who asked: a plugin, `operator`. At most 100 characters of it are kept. */
  readonly by: string
  /**
   * What was signed, by its tag: `act01`; or what was done to the keyring itself, by its command: `keyring generate`.
   * At most 200 characters of it are kept.
   */
  readonly what: string
  readonly serial?: string | undefined
  /** Id of the key. */
  readonly key: string
  readonly expiry?: Moment | undefined
}

/** A line of the log. */
export interface AuditLine extends AuditEntry {
  /** Counted from 1. */
  readonly n: number
  /** ISO 8601, UTC. */
  readonly at: string
  /** Hash of the line before; 64 zeros in the first. */
  readonly prev: string
  /** SHA-256, in hex, of the line up to here: all in front of `,"hash"`. */
  readonly hash: string
}

/** Where a chain stands. */
export interface Link {
  readonly n: number
  readonly hash: string
}

export const start: Link = { n: 0, hash: '0'.repeat(64) }

/** Bytes that no line exceeds. */
export const longestLine = 4096

/** What stands between a line's content and its end: `,"hash":"<64>"}`. */
const form = /^(\{"n":.*),"hash":"([0-9a-f]{64})"\}$/s

/** The next line, without its line end. */
export function formatLine(
  { by, what, serial, key, expiry }: AuditEntry,
  at: string,
  before: Link,
): { text: string; link: Link } {
  const n = before.n + 1
  const fields = {
    n,
    at,
    by: by.slice(0, 100),
    what: what.slice(0, 200),
    serial,
    key,
    expiry,
    prev: before.hash,
  }
  const content = JSON.stringify(fields).slice(0, -1)
  const hash = hashOf(content)
  return { text: `${content},"hash":"${hash}"}`, link: { n, hash } }
}

/** @returns undefined for what is no line of the log, or was changed since */
export function parseLine(text: string): AuditLine | undefined {
  const [, content, hash] = text.length <= longestLine ? (form.exec(text) ?? []) : []
  if (content === undefined || hash === undefined || hashOf(content) !== hash) return undefined
  try {
    const line: unknown = JSON.parse(text)
    return isLine(line) ? line : undefined
  } catch {
    return undefined
  }
}

/** A hash does not say that nobody made it up. */
function isLine(value: unknown): value is AuditLine {
  const {
    n,
    at,
    by,
    what,
    key,
    prev,
    serial = '',
    expiry = '',
  } = value as Partial<Record<keyof AuditLine, unknown>>
  const texts = [at, by, what, key, prev, serial, expiry]
  return Number.isSafeInteger(n) && texts.every((text) => typeof text === 'string')
}

/** What the line says by which the operator vouches for the clock. */
export const clockAccepted = 'keyring clock --accept'

/**
 * When the newest signature was made, once a line is added; ISO 8601, empty for none. The latest ever, so that a clock
 * cannot creep back; but once the clock was vouched for, what was signed before may have been signed at any time.
 */
export function newestWith(newest: string, { what, at }: Pick<AuditLine, 'what' | 'at'>): string {
  if (what === clockAccepted) return ''
  return isSignature({ what }) && at > newest ? at : newest
}

/** Whether a line is about something that was signed, and not about the keyring itself. */
export const isSignature = ({ what }: Pick<AuditLine, 'what'>): boolean => !what.startsWith('keyring ')

const hashOf = (content: string): string => createHash('sha256').update(content).digest('hex')
