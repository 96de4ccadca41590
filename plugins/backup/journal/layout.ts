import type { BytePath, FileRow, Row, Tree } from '../tree.js'

/** Where the parts of one entry lie. */
export interface EntryRows {
  readonly uid: string
  data: FileRow | undefined
  /** Layouts 1 to 6: a file for each property, by key; the preview is one of them. */
  readonly properties: Map<BytePath, FileRow>
  /** Layout 0: all properties as one JSON object. */
  json: FileRow | undefined
  /** Layout 0. */
  preview: FileRow | undefined
}

export interface Layout {
  /** Where the datastore is: "" for the top of the tree, or "datastore". */
  readonly root: BytePath
  /** By uid. */
  readonly entries: ReadonlyMap<string, EntryRows>
}

/** Folder that a laptop may have sent the datastore in. */
const folder = 'datastore'

/** What is safe as a name in an archive, an address and a log alike; Sugar's are uuids. */
const uidForm = /^[0-9A-Za-z][0-9A-Za-z._-]{2,99}$/

/** A key is a file name; those that begin with a dot are files that Sugar was still writing. */
export const isKey = (key: BytePath): boolean =>
  key !== '' && key.length < 256 && !key.startsWith('.') && !key.includes('/') && !key.includes('\0')

/**
 * Finds the entries of a Journal in one pass over its rows: layout 0 of Sugar 0.82, and layouts 1 to 6, which differ
 * in what is beside the entries only (docs/reference/protocols.md: backup, The Journal on disk). A laptop that was
 * switched off while Sugar migrated has both at once. What belongs to no entry is passed over.
 * @param only uid of the one entry that is wanted
 */
export function layoutOf(tree: Tree, only?: string): Layout {
  const top = new Place('', only)
  const below = new Place(folder, only)
  for (const row of tree.rows()) {
    if (row.path === folder && row.type === 'directory') below.marked = true
    if (row.path.startsWith(below.prefix)) below.take(row)
    else top.take(row)
  }
  const places = [top, below]
  const found = places.find((place) => place.entries.size > 0) ?? places.find((place) => place.marked) ?? top
  found.finish()
  return found
}

/** One of the two directories that may be the datastore. */
class Place implements Layout {
  readonly root: BytePath
  readonly prefix: BytePath
  readonly entries = new Map<string, EntryRows>()
  /** There is something here that only a datastore has. */
  marked = false
  readonly #only: string | undefined
  /** The directory that the last row lay in, and its entry: rows of one entry follow each other. */
  #directory = ''
  #entry: EntryRows | undefined
  readonly #oldData = new Map<string, FileRow>()
  readonly #oldPreviews = new Map<string, FileRow>()

  constructor(root: BytePath, only: string | undefined) {
    this.root = root
    this.prefix = root === '' ? '' : `${root}/`
    this.#only = only
  }

  take(row: Row): void {
    const { path } = row
    const start = this.prefix.length
    if (row.type === 'directory') {
      const name = path.slice(start)
      if (name === 'store' || (name.length === 2 && /^[0-9a-f]{2}$/i.test(name))) this.marked = true
    } else if (row.type === 'file') {
      if (path.startsWith('store/', start)) this.#takeOld(path.slice(start + 'store/'.length), row)
      else if (path[start + 2] === '/') this.#takePart(start, row)
      else if (path.length === start + 7 && path.endsWith('version')) this.marked = true
    }
  }

  /** Layouts 1 to 6: `<uid[0:2]>/<uid>/data` and `<uid[0:2]>/<uid>/metadata/<key>`. */
  #takePart(start: number, row: FileRow): void {
    const { path } = row
    if (this.#directory === '' || !path.startsWith(this.#directory)) {
      const end = path.indexOf('/', start + 3)
      if (end === -1) return
      const uid = path.slice(start + 3, end)
      const belongs = /^[0-9a-f]{2}/i.test(uid) && path.startsWith(uid.slice(0, 2), start)
      this.#directory = path.slice(0, end + 1)
      this.#entry = belongs ? this.#of(uid) : undefined
    }
    if (this.#entry === undefined) return
    const part = path.slice(this.#directory.length)
    if (part === 'data') this.#keep(this.#entry).data = row
    else if (part.startsWith('metadata/')) {
      const key = part.slice('metadata/'.length)
      if (isKey(key)) this.#keep(this.#entry).properties.set(key, row)
    }
  }

  /** Layout 0: `<uid>`, `<uid>.metadata` and `preview/<uid>`. */
  #takeOld(name: BytePath, row: FileRow): void {
    if (name.startsWith('preview/')) this.#oldPreviews.set(name.slice('preview/'.length), row)
    else if (!name.endsWith('.metadata')) this.#oldData.set(name, row)
    else {
      const entry = this.#of(name.slice(0, -'.metadata'.length))
      if (entry !== undefined) this.#keep(entry).json = row
    }
  }

  /** Joins the parts of layout 0, which lie apart. Without metadata it is no entry, for Sugar neither. */
  finish(): void {
    for (const entry of this.entries.values()) {
      entry.data ??= this.#oldData.get(entry.uid)
      entry.preview = this.#oldPreviews.get(entry.uid)
    }
  }

  #of(uid: string): EntryRows | undefined {
    if (!uidForm.test(uid) || (this.#only !== undefined && uid !== this.#only)) return undefined
    const known = this.entries.get(uid)
    if (known !== undefined) return known
    // A copy: a slice would keep the whole text alive that the rows were read from.
    const copy = Buffer.from(uid, 'latin1').toString('latin1')
    return { uid: copy, data: undefined, properties: new Map(), json: undefined, preview: undefined }
  }

  #keep(entry: EntryRows): EntryRows {
    this.entries.set(entry.uid, entry)
    return entry
  }
}
