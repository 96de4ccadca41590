import { randomBytes } from 'node:crypto'
import { createWriteStream } from 'node:fs'
import { link, lstat, mkdir, open, readdir, rename, rm, stat } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import type { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { RequestError, SystemError, systemCode } from '../../../core/api.js'
import { staysInside } from '../journal/path.js'
import type { BytePath, Row, Tree } from '../tree.js'
import { entryAt } from './entries.js'
import { noRoom, syncDisk, syncFolder } from './flush.js'
import type { Progress } from './progress.js'
import { removeTree, unfold } from './unfold.js'

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
  /** Properties of an entry in a .xoj file that are damaged or too large, and left out. */
  readonly lost: readonly BytePath[]
}

/** Writes a Journal, or an entry of it, where somebody wants it: whole, or not at all. Nothing is overwritten. */
export async function restore(
  tree: Tree,
  snapshot: string,
  { entry, to }: Restoring,
  progress: Progress,
): Promise<Restored> {
  const tally = new Tally(tree, progress)
  const lost: BytePath[] = []
  if (to.endsWith('.xoj')) {
    if (entry === undefined) {
      throw new RequestError('USAGE', 'a .xoj file holds one entry', {
        hint: 'name it with --entry, or write a .xob file for a whole Journal',
      })
    }
    const { writeXoj } = await import('../journal/xoj.js')
    const { readEntry } = await import('../journal/entry.js')
    lost.push(...readEntry(tree, entry).lost.map(({ key }) => key))
    await writeWhole(to, writeXoj(tally, entry))
  } else if (to.endsWith('.xob')) {
    if (entry !== undefined) {
      throw new RequestError('USAGE', 'a .xob file holds a whole Journal', {
        hint: 'write a .xoj file for one entry',
      })
    }
    const { writeXob } = await import('../journal/xob.js')
    await writeWhole(to, writeXob(tally))
  } else await writeFolder(entry === undefined ? tally : onlyEntry(tally, entry), to, tally)
  return { snapshot, files: tally.files, bytes: tally.bytes, skipped: tally.skipped, lost }
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

/** One entry's rows alone, and the directories that they are in. @throws RequestError NOT_FOUND */
function onlyEntry(tree: Tree, entry: string): Tree {
  const isPart = ({ path }: Row) => entryAt(path)?.uid === entry
  const above = new Set<BytePath>([''])
  let found = false
  for (const row of tree.rows()) {
    if (!isPart(row)) continue
    found = true
    for (let end = row.path.indexOf('/'); end !== -1; end = row.path.indexOf('/', end + 1))
      above.add(row.path.slice(0, end))
  }
  if (!found) {
    throw new RequestError('NOT_FOUND', `there is no entry ${entry} in this snapshot`, {
      hint: '"sugar-server backup entries USER" lists them',
    })
  }
  return {
    *rows() {
      for (const row of tree.rows()) if (isPart(row) || above.has(row.path)) yield row
    },
    read: (row, limit) => tree.read(row, limit),
    pieces: (row) => tree.pieces(row),
  }
}

async function writeWhole(to: string, content: Readable): Promise<void> {
  const making = await placeBeside(to)
  try {
    await pipeline(content, createWriteStream(making, { mode: 0o600, flags: 'wx' }))
    const file = await open(making, 'r')
    await file.sync().finally(() => file.close())
    await publish(making, to)
    syncFolder(dirname(to))
  } catch (error) {
    throw explain(error, to)
  } finally {
    content.destroy()
    await rm(making, { force: true })
  }
}

/** Gives a file its name, and never takes that from another, as a rename would. */
async function publish(making: string, to: string): Promise<void> {
  try {
    await link(making, to)
  } catch (error) {
    // A USB stick, whose file system knows no links.
    if (!['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS'].includes(systemCode(error) ?? '')) throw error
    await (await open(to, 'wx')).close()
    await rename(making, to)
  }
}

async function writeFolder(tree: Tree, to: string, tally: Tally): Promise<void> {
  const making = await placeBeside(to)
  try {
    await checkFree(to)
    await mkdir(making, { mode: 0o700 })
    await unfold(tree, making, (row) => {
      if (staysInside(row)) return row.target
      tally.skipped.push(row.path)
      return undefined
    })
    syncDisk(dirname(to))
    // Of a directory that was there, only an empty one gives way.
    await rename(making, to)
    syncFolder(dirname(to))
  } catch (error) {
    throw explain(error, to)
  } finally {
    await removeTree(making)
  }
}

async function checkFree(to: string): Promise<void> {
  try {
    if ((await lstat(to)).isDirectory() && (await readdir(to)).length === 0) return
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return
    throw error
  }
  throw occupied(to)
}

/** A name for what is not whole yet, where it can be renamed from. */
async function placeBeside(to: string): Promise<string> {
  const folder = await stat(dirname(to)).catch(() => undefined)
  if (folder?.isDirectory() === true)
    return join(dirname(to), `.${basename(to).slice(0, 50)}.${randomBytes(4).toString('hex')}`)
  throw new SystemError('NOT_WRITABLE', `${dirname(to)} is no directory`, {
    hint: 'make it, or name a place in one that is there',
  })
}

const occupied = (to: string): RequestError =>
  new RequestError('REFUSED', `${to} is there already`, {
    hint: 'name one that is not there yet; nothing is overwritten',
  })

function explain(error: unknown, to: string): unknown {
  const code = systemCode(error)
  if (code === 'EEXIST' || code === 'ENOTEMPTY') return occupied(to)
  if (code === 'ENOSPC' || code === 'EDQUOT') return noRoom(`there is no room to write ${to}`, error)
  if (code === undefined || !/^E[A-Z]+$/.test(code)) return error
  return new SystemError('NOT_WRITABLE', `${to} cannot be written (${code})`, {
    hint: `the server writes it, as the user with uid ${process.geteuid?.()}: name a place where that one may write`,
    cause: error,
  })
}
