import { Readable } from 'node:stream'
import { ZipFile } from 'yazl'
import type { Tree } from '../tree.js'
import { readEntry, type WholeEntry } from './entry.js'
import { textOf } from './text.js'

/**
 * One entry as Sugar's Journal installs it (docs/reference/protocols.md: backup, What clients can read; jarabe's
 * journalentrybundle.py): a zip with `<uid>/_metadata.json`, `<uid>/<uid>` if it has data, and `<uid>/preview/<uid>`.
 * The stream fails when the data turn out damaged.
 * @throws RequestError NOT_FOUND
 */
export function writeXoj(tree: Tree, uid: string): Readable {
  const entry = readEntry(tree, uid)
  const { data, preview } = entry
  const zip = new ZipFile()
  const output = zip.outputStream as Readable
  const fail = (error: Error) => output.destroy(error)
  zip.on('error', fail)

  const options = { mtime: new Date(data === undefined ? 0 : data.seconds * 1000), mode: 0o100644 }
  zip.addBuffer(Buffer.from(metadataJson(entry)), `${uid}/_metadata.json`, options)
  if (preview !== undefined) zip.addBuffer(preview, `${uid}/preview/${uid}`, options)
  if (data !== undefined) {
    zip.addReadStreamLazy(`${uid}/${uid}`, { ...options, size: data.size }, (ready) => {
      if (output.destroyed) return
      const pieces = Readable.from(tree.pieces(data), { objectMode: false })
      // yazl forwards no error of what it reads, and does not end it when nobody reads on.
      pieces.on('error', fail)
      output.once('close', () => pieces.destroy())
      ready(null, pieces)
    })
  }
  zip.end()
  return output
}

/**
 * The properties as Sugar hands them to its datastore, which takes texts without NUL only. The preview has a file of
 * its own. ASCII, as Python writes JSON: old laptops read it in whatever their locale is.
 */
function metadataJson({ uid, metadata }: WholeEntry): string {
  const texts: [string, string][] = [['uid', uid]]
  for (const [key, value] of metadata) {
    if (key === 'preview') continue
    texts.push([textOf(Buffer.from(key, 'latin1')), textOf(value).replaceAll('\0', '\ufffd')])
  }
  return JSON.stringify(Object.fromEntries(texts)).replace(
    /[^\x00-\x7f]/g,
    (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
}
