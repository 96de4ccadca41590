import { RequestError } from '../../../core/api.js'
import { byAge, type JournalEntry, type JournalIndex } from './index.js'
import { folded } from './text.js'

export interface Query {
  /** Words that must all occur in title, tags, description, activity or type, whatever their case and accents. */
  readonly text?: string | undefined
  /** The whole bundle id. */
  readonly activity?: string | undefined
  /** The whole type. */
  readonly mime?: string | undefined
  /** Seconds since 1970: changed at this time or later. Entries without a time are not found by time. */
  readonly from?: number | undefined
  /** Changed before this time. */
  readonly to?: number | undefined
  /** Entries of a page, 1 to 1000. */
  readonly limit: number
  /** `next` of the page before. */
  readonly after?: string | undefined
}

export interface Found {
  /** Newest first. */
  readonly entries: JournalEntry[]
  /** For the next page, if there is one. It stays good when the Journal changes in the meantime. */
  readonly next?: string
}

const textLimit = 1000

/** @throws RequestError REQUEST_INVALID */
export function search(index: JournalIndex, query: Query): Found {
  const { activity, mime, from, to, limit } = query
  if (!Number.isInteger(limit) || limit < 1 || limit > 1000)
    throw new RequestError('REQUEST_INVALID', 'a page has 1 to 1000 entries')
  const words = wordsOf(query.text)
  const after = query.after === undefined ? undefined : placeOf(query.after)
  const entries: JournalEntry[] = []
  for (const entry of index.entries) {
    if (after !== undefined && byAge(entry, after) <= 0) continue
    if (activity !== undefined && entry.activity !== activity) continue
    if (mime !== undefined && entry.mime !== mime) continue
    if (from !== undefined && (entry.timestamp === 0 || entry.timestamp < from)) continue
    if (to !== undefined && (entry.timestamp === 0 || entry.timestamp >= to)) continue
    if (words.length > 0 && !holds(entry, words)) continue
    const last = entries.at(-1)
    if (last !== undefined && entries.length === limit)
      return { entries, next: `${last.timestamp}.${last.uid}` }
    entries.push(entry)
  }
  return { entries }
}

function wordsOf(text: string | undefined): string[] {
  if (text === undefined) return []
  if (text.length > textLimit)
    throw new RequestError('REQUEST_INVALID', `search for ${textLimit} characters at most`)
  return [...new Set(folded(text).split(/\s+/u))].filter((word) => word !== '')
}

function placeOf(after: string): Pick<JournalEntry, 'timestamp' | 'uid'> {
  const match = /^(\d{1,12})\.([0-9A-Za-z._-]{1,100})$/.exec(after)
  if (match === null)
    throw new RequestError('REQUEST_INVALID', 'the place to go on from must be the one that was given')
  return { timestamp: Number(match[1]), uid: match[2] ?? '' }
}

/** Made when an entry is first searched, and gone with it. */
const texts = new WeakMap<JournalEntry, string>()

function holds(entry: JournalEntry, words: readonly string[]): boolean {
  let text = texts.get(entry)
  if (text === undefined) {
    // Words hold no newline, so none is found across two values.
    text = folded([entry.title, entry.tags, entry.description, entry.activity, entry.mime].join('\n'))
    texts.set(entry, text)
  }
  return words.every((word) => text.includes(word))
}
