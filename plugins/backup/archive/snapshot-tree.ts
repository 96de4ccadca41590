import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { pipeline } from 'node:stream'
import { createInflateRaw } from 'node:zlib'
import { RequestError } from '../../../core/api.js'
import type { FileRow, Row, Tree } from '../tree.js'
import { Bundles } from './bundles.js'
import type { Manifest } from './manifest.js'
import { lost, type Objects } from './objects.js'
import { openReadable } from './readable.js'
import { rowsOf } from './rows.js'

/** A snapshot, or a folder of one, as a tree. */
export class SnapshotTree implements Tree {
  readonly #objects: Objects
  readonly #manifest: Manifest
  readonly #folder: string

  /** @param folder the folder that is the tree's top; "" for everything */
  constructor(objects: Objects, manifest: Manifest, folder: string) {
    this.#objects = objects
    this.#manifest = manifest
    this.#folder = folder
  }

  *rows(): Generator<Row> {
    const prefix = this.#folder === '' ? '' : `${this.#folder}/`
    for (const row of rowsOf(new Bundles(this.#objects), this.#manifest)) {
      if (row.path === this.#folder) yield { ...row, path: '' }
      else if (row.path.startsWith(prefix)) yield { ...row, path: row.path.slice(prefix.length) }
    }
  }

  read({ content, size, path }: FileRow, limit: number): Buffer {
    if (size > limit) {
      throw new RequestError('REQUEST_TOO_LARGE', `${path} has ${size} bytes, more than ${limit}`)
    }
    return typeof content === 'string' ? this.#objects.read(content, size) : Buffer.from(content)
  }

  async *pieces({ content, size }: FileRow): AsyncGenerator<Buffer> {
    if (typeof content !== 'string') {
      yield Buffer.from(content)
      return
    }
    yield* streamObject(this.#objects, content, size)
  }
}

/** An object in pieces, checked on the way. @throws SystemError DAMAGED, at the end at the latest */
export async function* streamObject(objects: Objects, name: string, size: number): AsyncGenerator<Buffer> {
  const lying = objects.find(name)
  if (lying === undefined) throw lost(name, 'is missing')
  const file = createReadStream('', { fd: open(name, lying.path) })
  const source = lying.deflated ? pipeline(file, createInflateRaw(), () => undefined) : file
  const hash = createHash('sha256')
  let length = 0
  try {
    for await (const piece of source) {
      length += (piece as Buffer).length
      if (length > size) break
      hash.update(piece as Buffer)
      yield piece as Buffer
    }
  } catch (cause) {
    throw lost(name, 'cannot be read', cause)
  } finally {
    file.destroy()
  }
  if (length !== size || hash.digest('hex') !== name) throw lost(name, 'is not what was put in')
}

function open(name: string, path: string): number {
  try {
    return openReadable(path)
  } catch (cause) {
    throw lost(name, 'cannot be read', cause)
  }
}
