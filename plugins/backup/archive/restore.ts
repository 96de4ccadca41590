import { randomBytes } from 'node:crypto'
import { createWriteStream } from 'node:fs'
import { link, mkdir, open, readdir, rename, rm, rmdir } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { createGzip } from 'node:zlib'
import { RequestError, SystemError, systemCode } from '../../../core/api.js'
import type { Row, Tree } from '../tree.js'
import type { Progress } from './progress.js'
import { staysInside, tarOf, unfold } from './unfold.js'

export interface Restoring {
  readonly uid: string
  readonly at?: string | undefined
  /** One entry of the Journal; everything when not said. */
  readonly entry?: string | undefined
  /** Absolute. By its ending it is a bundle of one entry (.xoj), of a Journal (.xob), or a directory. */
  readonly to: string
}

export interface Restored {
  readonly snapshot: string
  readonly files: number
  readonly bytes: number
  /** Links that lead out of the Journal, and are not made. */
  readonly skipped: readonly string[]
}

// Where Sugar has its Journal, and where its control panel unpacks a bundle to
// (docs/reference/protocols.md: backup, What clients can read).
const home = 'home/olpc/.sugar/default/datastore/'

/** Writes a Journal, or an entry of it, where somebody wants it: whole, or not at all. Nothing is overwritten. */
export async function restore(
  tree: Tree,
  snapshot: string,
  { entry, to }: Restoring,
  progress: Progress,
): Promise<Restored> {
  const tally = new Tally(tree, progress)
  if (to.endsWith('.xoj')) {
    if (entry === undefined) {
      throw new RequestError('USAGE', 'a .xoj file holds one entry', {
        hint: 'name it with --entry, or write a .xob file for a whole Journal',
      })
    }
    const { writeXoj } = await import('../journal/xoj.js')
    await writeWhole(to, writeXoj(tree, entry))
  } else if (to.endsWith('.xob')) {
    if (entry !== undefined) {
      throw new RequestError('USAGE', 'a .xob file holds a whole Journal', {
        hint: 'write a .xoj file for one entry',
      })
    }
    const tar = Readable.from(
      tarOf(tally, home, () => undefined),
      { objectMode: false },
    )
    await writeWhole(to, tar, createGzip({ level: 6 }))
  } else await writeFolder(entry === undefined ? tally : await onlyEntry(tally, entry), to, tally)
  return { snapshot, files: tally.files, bytes: tally.bytes, skipped: tally.skipped }
}

/** Counts what passes, and hides from a restored file what only mattered on the server. */
class Tally implements Tree {
  files = 0
  bytes = 0
  readonly skipped: string[] = []
  readonly #tree: Tree
  readonly #progress: Progress

  constructor(tree: Tree, progress: Progress) {
    this.#tree = tree
    this.#progress = progress
  }

  *rows(): Generator<Row> {
    // Setuid and its like were the laptop's business.
    for (const row of this.#tree.rows()) yield { ...row, mode: row.mode & 0o777 }
  }

  read: Tree['read'] = (row, limit) => this.#tree.read(row, limit)

  pieces: Tree['pieces'] = (row) => {
    this.files += 1
    this.bytes += row.size
    this.#progress.step(row.size)
    return this.#tree.pieces(row)
  }
}

/** One entry's rows alone. @throws RequestError NOT_FOUND */
async function onlyEntry(tree: Tree, entry: string): Promise<Tree> {
  const { entryAt } = await import('./entries.js')
  const isPart = ({ path, type }: Row) =>
    entryAt(path)?.uid === entry ||
    (type === 'directory' &&
      /^(?:(?:datastore\/)?[0-9a-f]{2}|datastore)?$/.test(path) &&
      entry.startsWith(path.slice(-2)))
  for (const row of tree.rows()) {
    if (entryAt(row.path)?.uid !== entry) continue
    return {
      *rows() {
        for (const one of tree.rows()) if (isPart(one)) yield one
      },
      read: (row, limit) => tree.read(row, limit),
      pieces: (row) => tree.pieces(row),
    }
  }
  throw new RequestError('NOT_FOUND', `there is no entry ${entry} in this snapshot`, {
    hint: '"sugar-server backup entries USER" lists them',
  })
}

async function writeWhole(to: string, ...streams: [Readable, ...NodeJS.ReadWriteStream[]]): Promise<void> {
  const making = join(dirname(to), `.${basename(to)}.${randomBytes(4).toString('hex')}`)
  try {
    await pipeline([...streams, createWriteStream(making, { mode: 0o600, flags: 'wx' })])
    const file = await open(making, 'r')
    await file.sync().finally(() => file.close())
    // Unlike a rename, a link never replaces what is there.
    await link(making, to)
  } catch (error) {
    throw explain(error, to)
  } finally {
    await rm(making, { force: true })
  }
}

async function writeFolder(tree: Tree, to: string, tally: Tally): Promise<void> {
  const making = join(dirname(to), `.${basename(to)}.${randomBytes(4).toString('hex')}`)
  try {
    await mkdir(dirname(to), { recursive: true })
    if ((await contents(to)).length > 0) {
      throw new RequestError('REFUSED', `${to} is not empty`, {
        hint: 'name a directory that is not there yet',
      })
    }
    await unfold(tree, making, (row) => {
      if (staysInside(row)) return row.target
      tally.skipped.push(row.path)
      return undefined
    })
    await rmdir(to).catch(() => undefined)
    await rename(making, to)
  } catch (error) {
    throw explain(error, to)
  } finally {
    await rm(making, { recursive: true, force: true })
  }
}

async function contents(folder: string): Promise<string[]> {
  try {
    return await readdir(folder)
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return []
    throw error
  }
}

function explain(error: unknown, to: string): unknown {
  const code = systemCode(error)
  if (code === 'EEXIST' || code === 'ENOTDIR' || code === 'ENOTEMPTY') {
    return new RequestError('REFUSED', `${to} is there already`, {
      hint: 'name another; nothing is overwritten',
    })
  }
  if (code === undefined || !/^E[A-Z]+$/.test(code)) return error
  return new SystemError('NOT_WRITABLE', `${to} cannot be written (${code})`, {
    hint: `the server writes it, as the user with uid ${process.geteuid?.()}: name a place where that one may write`,
    cause: error,
  })
}
