import { foldedName, freeName, RequestError } from '../../../core/api.js'
import { tarOf } from '../archive/tar.js'
import type { BytePath, FileRow, Row, Tree } from '../tree.js'
import { metadataFolder as folder } from './companions.js'
import { fileNameOf } from './file-name.js'
import { type EntryRows, layoutOf } from './layout.js'
import { pngOf } from './preview.js'
import { propertiesOf } from './properties.js'
import { propertiesJson } from './properties-json.js'
import { secondsOf, textOf } from './text.js'

// FAT counts years from 1980, to 2107. Sugar sorts what is on a stick by these times.
const earliest = Date.UTC(1980, 0, 2) / 1000
const latest = Date.UTC(2107, 11, 30) / 1000

export interface Stick {
  /** A tar stream: `NAME`, `.Sugar-Metadata/NAME.metadata`, `.Sugar-Metadata/NAME.preview` for each entry. */
  readonly content: AsyncIterable<Uint8Array>
  /** What was put in; complete when the content has been read to its end. */
  readonly facts: StickFacts
}

export interface StickFacts {
  /** Names of the files, in the order of the entries. */
  readonly names: string[]
  /** Entries without content, which lie there as empty files: Sugar takes nothing without a file from a stick. */
  empty: number
  /** Paths of contents that are damaged, whose entries are left out, and properties that are lost, as `UID KEY`. */
  readonly lost: string[]
}

/** A file on the stick; its content is that of `source`, or what stands in the row. */
interface Part extends FileRow {
  readonly source?: FileRow
}

/**
 * Entries as every Sugar since 0.88 reads them from a USB stick (docs/reference/protocols.md: backup, What clients can
 * read). One entry is in memory at a time, its content never whole.
 * @param only uids; all entries without it
 * @param damaged paths of files that cannot be had
 * @throws RequestError NOT_FOUND
 */
export function writeStick(
  tree: Tree,
  { only, damaged }: { only?: ReadonlySet<string> | undefined; damaged: ReadonlySet<BytePath> },
): Stick {
  const facts: StickFacts = { names: [], empty: 0, lost: [] }
  const [single, ...more] = only ?? []
  const { entries } = layoutOf(tree, more.length === 0 ? single : undefined)
  const missing = [...(only ?? [])].find((uid) => !entries.has(uid))
  if (missing !== undefined)
    throw new RequestError('NOT_FOUND', `there is no entry ${missing} in this snapshot`, {
      hint: '"sugar-server backup entries USER" lists them',
    })
  const parts: Tree = {
    rows: () => partsOf(tree, entries.values(), { only, damaged }, facts),
    read: (row, limit) => tree.read(row, limit),
    async *pieces(row: Part) {
      if (row.source !== undefined) yield* tree.pieces(row.source)
      else yield Buffer.from(row.content)
    },
  }
  return { content: tarOf(parts, (row) => row), facts }
}

function* partsOf(
  tree: Tree,
  entries: Iterable<EntryRows>,
  { only, damaged }: { only?: ReadonlySet<string> | undefined; damaged: ReadonlySet<BytePath> },
  facts: StickFacts,
): Generator<Row> {
  const taken = new Set<string>()
  const common = { mode: 0o755, seconds: earliest, nanos: 0 }
  yield { type: 'directory', path: folder, ...common }
  for (const entry of entries) {
    if (only !== undefined && !only.has(entry.uid)) continue
    const { data } = entry
    if (data !== undefined && damaged.has(data.path)) {
      facts.lost.push(data.path)
      continue
    }
    const properties = propertiesOf(tree, entry, undefined, ({ key }) =>
      facts.lost.push(`${entry.uid} ${key}`),
    )
    const wanted = fileNameOf({
      title: textOf(properties.get('title') ?? Buffer.alloc(0)),
      mime: textOf(properties.get('mime_type') ?? Buffer.alloc(0), 128),
      uid: entry.uid,
    })
    const name = freeName(wanted, (one) => !taken.has(foldedName(one)))
    taken.add(foldedName(name))
    facts.names.push(name)
    if (data === undefined) facts.empty += 1
    const changed =
      secondsOf(textOf(properties.get('timestamp') ?? Buffer.alloc(0), 64)) || (data?.seconds ?? 0)
    const seconds = Math.min(Math.max(changed, earliest), latest)
    const part = (path: string, content: Buffer): Part => ({
      ...{ type: 'file', path: Buffer.from(path).toString('latin1'), mode: 0o644, seconds, nanos: 0 },
      ...{ size: content.length, content },
    })
    yield part(`${folder}/${name}.metadata`, Buffer.from(propertiesJson(properties, defaults, unwanted)))
    const preview = pngOf(properties.get('preview') ?? Buffer.alloc(0))
    if (preview !== undefined) yield part(`${folder}/${name}.preview`, preview)
    const file = part(name, Buffer.alloc(0))
    yield data === undefined ? file : { ...file, size: data.size, content: data.content, source: data }
  }
}

/** What Sugar finds out by itself. */
const unwanted: ReadonlySet<string> = new Set(['uid', 'filesize', 'preview', 'mountpoint'])

/** Sugar reads these without asking whether they are there; the colour is the one it takes for the child's own. */
const defaults: Readonly<Record<string, string>> = {
  title: '',
  activity: '',
  activity_id: '',
  mime_type: 'application/octet-stream',
  'icon-color': '#000000,#ffffff',
}
