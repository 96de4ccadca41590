import { Readable } from 'node:stream'
import { ZipFile } from 'yazl'
import type { Tree } from '../tree.js'
import { readEntry } from './entry.js'
import { propertiesJson } from './properties-json.js'

/**
 * One entry as Sugar's Journal installs it (docs/reference/protocols.md: backup, What clients can read; jarabe's
 * journalentrybundle.py): a zip with `<uid>/_metadata.json`, `<uid>/<uid>` if it has data, and `<uid>/preview/<uid>`.
 * The stream fails when the data turn out damaged. Sugar 0.101.2 and later install the properties and lose the data.
 * @throws RequestError NOT_FOUND
 */
export function writeXoj(tree: Tree, uid: string): Readable {
  const entry = readEntry(tree, uid)
  const { metadata, data, preview } = entry
  const zip = new ZipFile()
  const output = zip.outputStream as Readable
  const fail = (error: Error) => output.destroy(error)
  zip.on('error', fail)

  const options = { mtime: new Date(data === undefined ? 0 : data.seconds * 1000), mode: 0o100644 }
  zip.addBuffer(Buffer.from(propertiesJson(metadata, { uid }, withPlaces)), `${uid}/_metadata.json`, options)
  // Sugar 0.116 and later fail without it; an empty one is no picture.
  zip.addBuffer(preview ?? Buffer.alloc(0), `${uid}/preview/${uid}`, options)
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

/** The uid is the name of the folder, and the preview has a file of its own. */
const withPlaces: ReadonlySet<string> = new Set(['uid', 'preview'])
