import type { Tree } from '../tree.js'
import { type EntryRows, layoutOf } from './layout.js'
import { type Properties, propertiesOf } from './properties.js'
import { secondsOf, secondsOfIso, textOf } from './text.js'

/** What is shown of an entry. Texts are well-formed and else as the child's laptop wrote them; "" where none is. */
export interface JournalEntry {
  readonly uid: string
  readonly title: string
  /** Bundle id: `org.laptop.AbiWordActivity`. */
  readonly activity: string
  readonly mime: string
  /** Seconds since 1970 of the last change, by the laptop's clock; 0 when it is not known. */
  readonly timestamp: number
  /** The same as Sugar wrote it: ISO 8601 without a zone. */
  readonly mtime: string
  /** Seconds since 1970; 0 when it is not known. */
  readonly creationTime: number
  readonly tags: string
  readonly description: string
  /** Marked with a star. */
  readonly keep: boolean
  readonly hasData: boolean
  /** Bytes of the data. */
  readonly size: number
  readonly hasPreview: boolean
}

export interface JournalIndex {
  /** Newest first; by uid where the time is the same. */
  readonly entries: readonly JournalEntry[]
  /** Values that are lost, damaged or too large; their entries are there without them. */
  readonly lost: number
}

/** Bytes of each text that are kept; the whole is in readEntry(). */
const limits = { title: 512, activity: 256, mime_type: 128, mtime: 64, tags: 1024, description: 4096 }
/** Bytes of all texts of one Journal; beyond it they are kept short, so that no Journal fills the memory. */
const textLimit = 16 << 20
const shortText = 64

const wanted = new Set([...Object.keys(limits), 'keep', 'timestamp', 'creation_time'])

/** Reads what is shown of all entries; a value that cannot be had costs that value only. */
export const indexJournal = (tree: Tree): JournalIndex => indexEntries(tree, layoutOf(tree).entries.values())

/** The same for some entries of a tree. */
export function indexEntries(tree: Tree, some: Iterable<EntryRows>): JournalIndex {
  let lost = 0
  const texts = new Texts()
  const entries: JournalEntry[] = []
  for (const rows of some) {
    const properties = propertiesOf(tree, rows, wanted, () => {
      lost += 1
    })
    entries.push(entryOf(rows, properties, texts))
  }
  entries.sort(byAge)
  return { entries, lost }
}

/** The order of an index. */
export const byAge = (
  a: Pick<JournalEntry, 'timestamp' | 'uid'>,
  b: Pick<JournalEntry, 'timestamp' | 'uid'>,
) => b.timestamp - a.timestamp || (a.uid < b.uid ? -1 : a.uid > b.uid ? 1 : 0)

function entryOf(rows: EntryRows, properties: Properties, texts: Texts): JournalEntry {
  const short = (key: string) => textOf(properties.get(key) ?? Buffer.alloc(0), shortText)
  const mtime = texts.text(properties, 'mtime')
  const preview = rows.properties.get('preview') ?? rows.preview
  return {
    uid: rows.uid,
    title: texts.text(properties, 'title'),
    activity: texts.shared(properties, 'activity'),
    mime: texts.shared(properties, 'mime_type'),
    timestamp: secondsOf(short('timestamp')) || secondsOfIso(mtime),
    mtime,
    creationTime: secondsOf(short('creation_time')),
    tags: texts.text(properties, 'tags'),
    description: texts.text(properties, 'description'),
    keep: /^(1|true)$/i.test(short('keep').trim()),
    hasData: rows.data !== undefined,
    size: rows.data?.size ?? 0,
    hasPreview: (preview?.size ?? 0) > 0,
  }
}

/** Makes texts of bytes and keeps them few: activities and types are the same in thousands of entries. */
class Texts {
  #room = textLimit
  readonly #shared = new Map<string, string>()

  text(properties: Properties, key: keyof typeof limits): string {
    const bytes = properties.get(key)
    if (bytes === undefined) return ''
    const text = textOf(bytes, this.#room > 0 ? limits[key] : shortText)
    this.#room -= text.length
    return text
  }

  shared(properties: Properties, key: 'activity' | 'mime_type'): string {
    const bytes = properties.get(key)
    if (bytes === undefined) return ''
    const text = textOf(bytes, limits[key])
    const known = this.#shared.get(text)
    if (known !== undefined) return known
    const kept = this.text(properties, key)
    this.#shared.set(kept, kept)
    return kept
  }
}
