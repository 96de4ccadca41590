import { pipeline, Readable } from 'node:stream'
import { createGzip } from 'node:zlib'
import { SystemError } from '../../../core/api.js'
import type { FileRow, Row, Tree } from '../tree.js'
import { layoutOf } from './layout.js'
import { bytesOf } from './path.js'
import { end, headerOf, padding } from './tar.js'

/** Media type of a bundle with a whole Journal. */
export const xobType = 'application/vnd.olpc-journal-backup'

/** Where the Journal of an XO is, as a name in an archive that is unpacked at "/". */
const datastore = 'home/olpc/.sugar/default/datastore'

/** Bytes handed to the compression at once: one call for each of 32,000 small files would cost seconds. */
const chunkSize = 64 << 10

/** `<serial>_<YYYYMMDD>.xob`, the name that Sugar gives its own; the day is that of UTC. */
export function xobName(serial: string, date: Date): string {
  const day = date.toISOString().slice(0, 10).replaceAll('-', '')
  return `${serial.replace(/[^0-9A-Za-z-]/g, '_').slice(0, 64)}_${day}.xob`
}

/**
 * A whole Journal as Sugar's control panel restores it from a USB stick (docs/reference/protocols.md: backup,
 * restore): tar.gz with the files and directories of the datastore. Modes without setuid, setgid and sticky bits;
 * times in whole seconds, as Sugar's own have; no symbolic links, for Sugar makes none. The stream fails rather than
 * end early when a file is damaged.
 * @param prefix where the datastore is on the laptop, without a slash at either end
 */
export function writeXob(tree: Tree, { prefix = datastore }: { prefix?: string } = {}): Readable {
  const names = bytesOf(Buffer.from(prefix).toString('latin1'))
  const gzip = createGzip()
  // The error reaches whoever reads gzip, which pipeline() destroys with it.
  return pipeline(Readable.from(chunks(members(tree, names)), { objectMode: false }), gzip, () => {})
}

async function* members(tree: Tree, prefix: Buffer): AsyncGenerator<Buffer> {
  const { root } = layoutOf(tree)
  for (const row of tree.rows()) {
    if (row.type === 'link') continue
    const name = nameOf(row, root, prefix)
    if (name === undefined) continue
    if (row.type === 'directory') {
      // Sugar sets the mode of a directory before it fills it: its owner must be let in.
      yield headerOf({ ...row, name, mode: (row.mode & 0o777) | 0o700, size: 0 })
    } else {
      yield headerOf({ ...row, name, type: 'file', mode: row.mode & 0o777 })
      yield* contentOf(tree, row)
      yield padding(row.size)
    }
  }
  yield end
}

/** @returns undefined for what lies beside the datastore */
function nameOf({ path }: Row, root: string, prefix: Buffer): Buffer | undefined {
  if (path === root) return prefix
  if (root !== '' && !path.startsWith(`${root}/`)) return undefined
  const below = bytesOf(root === '' ? path : path.slice(root.length + 1))
  return Buffer.concat([prefix, Buffer.from('/'), below])
}

/** As many bytes as the header promised, or an error: anything else would shift all that follows. */
async function* contentOf(tree: Tree, row: FileRow): AsyncGenerator<Buffer> {
  let left = row.size
  for await (const piece of tree.pieces(row)) {
    left -= piece.length
    if (left < 0) break
    yield piece
  }
  if (left !== 0) {
    throw new SystemError('DAMAGED', 'a file of the Journal is not as long as it was', {
      hint: 'restore an older snapshot',
    })
  }
}

async function* chunks(pieces: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  let waiting: Buffer[] = []
  let size = 0
  for await (const piece of pieces) {
    waiting.push(piece)
    size += piece.length
    if (size < chunkSize) continue
    yield Buffer.concat(waiting)
    waiting = []
    size = 0
  }
  yield Buffer.concat(waiting)
}
