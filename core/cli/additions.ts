import { spawnSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { chmod, link, lstat, mkdir, open, readdir, rename, rm, stat } from 'node:fs/promises'
import { basename, join } from 'node:path'
import type { Additions } from '../command.js'
import { RequestError, SugarError, SystemError, systemCode } from '../errors.js'
import { isFull } from '../lib/disk-fault.js'
import { foldedName, freeName } from '../lib/free-name.js'
import { removeTree, unpack } from '../unpack.js'

/** What a companion's place looks like; it comes from the server, which the person here need not trust. */
const companionForm = /^(\.?[A-Za-z0-9][A-Za-z0-9-]{0,60})\/\*(\.[a-z]{1,20})$/

interface Companion {
  readonly folder: string
  readonly ending: string
}

/**
 * Adds files to a directory that is there: all of them, or none. They are unpacked into a hidden directory beside
 * their places, flushed, and renamed, a file after its companions. A failure takes back what was renamed.
 * @param note is told which names were taken, a line each
 * @throws SystemError NOT_WRITABLE, NO_SPACE; RequestError REFUSED for content that is not what was announced
 */
export async function addFiles(
  { to, companions }: Additions,
  content: AsyncIterable<Uint8Array>,
  note: (line: string) => void,
): Promise<void> {
  const kinds = companions.map(companionOf)
  if ((await stat(to).catch(() => undefined))?.isDirectory() !== true) {
    throw new SystemError('NOT_WRITABLE', `${to} is not a directory`, {
      hint: 'name the directory where the stick is mounted',
    })
  }
  const making = join(to, `.sugar-server.${randomBytes(4).toString('hex')}.part`)
  const placed: string[] = []
  try {
    await mkdir(making, { mode: 0o700 })
    await unpack(content, making)
    flushDisk(making, to)
    const names = await namesIn(making, kinds)
    const moves = await plan({ making, to, kinds, names, note })
    for (const { folder } of kinds) await publicFolder(join(to, folder))
    for (const [from, path] of moves) {
      await place(from, path)
      placed.push(path)
    }
    for (const folder of new Set([...kinds.map(({ folder }) => join(to, folder)), to])) await flush(folder)
    flushDisk(to, to)
  } catch (error) {
    for (const path of placed.reverse()) await rm(path, { force: true }).catch(() => undefined)
    throw explain(error, to, making)
  } finally {
    // On a stick that was pulled out nothing can be removed; explain() names what may be left.
    await removeTree(making).catch(() => undefined)
  }
}

function companionOf(pattern: string): Companion {
  const [, folder = '', ending = ''] = companionForm.exec(pattern) ?? []
  if (folder === '') throw new RequestError('REFUSED', `the server named ${pattern} as a place for files`)
  return { folder, ending }
}

/** The names of the files proper. Whatever else was unpacked must be a companion of one. */
async function namesIn(making: string, kinds: readonly Companion[]): Promise<string[]> {
  const folders = new Set(kinds.map(({ folder }) => folder))
  const names: string[] = []
  for (const entry of await readdir(making, { withFileTypes: true })) {
    if (entry.isFile() && !entry.name.startsWith('.')) names.push(entry.name)
    else if (!(entry.isDirectory() && folders.has(entry.name))) throw unannounced(entry.name)
  }
  const known = new Set(
    kinds.flatMap(({ folder, ending }) => names.map((name) => `${folder}/${name}${ending}`)),
  )
  for (const folder of folders) {
    for (const entry of await readdir(join(making, folder), { withFileTypes: true }).catch(nothing)) {
      const path = `${folder}/${entry.name}`
      if (!entry.isFile() || !known.has(path)) throw unannounced(path)
    }
  }
  return names.sort()
}

const unannounced = (name: string): RequestError =>
  new RequestError('REFUSED', `the server sent ${name}, which is not one of the announced files`)

const nothing = (error: unknown): never[] => {
  if (systemCode(error) === 'ENOENT') return []
  throw error
}

/** What goes where, a file after its companions, so that none is seen without them. */
async function plan(given: {
  making: string
  to: string
  kinds: readonly Companion[]
  names: readonly string[]
  note: (line: string) => void
}): Promise<[from: string, path: string][]> {
  const { making, to, kinds, names, note } = given
  const places: readonly Companion[] = [...kinds, { folder: '.', ending: '' }]
  const taken = new Set<string>()
  for (const folder of new Set(places.map((one) => one.folder))) {
    for (const name of await readdir(join(to, folder)).catch(nothing)) taken.add(keyOf(folder, name))
  }
  const there = new Set(
    (await Promise.all(kinds.map(({ folder }) => readdir(join(making, folder)).catch(nothing)))).flatMap(
      (found, at) => found.map((name) => `${kinds[at]?.folder}/${name}`),
    ),
  )
  const moves: [string, string][] = []
  for (const name of names) {
    const isFree = (wanted: string) =>
      places.every(({ folder, ending }) => !taken.has(keyOf(folder, `${wanted}${ending}`)))
    const found = freeName(name, isFree)
    if (found !== name) note(`${name} is on the stick already; this one is called ${found}`)
    for (const { folder, ending } of places) {
      taken.add(keyOf(folder, `${found}${ending}`))
      if (folder !== '.' && !there.has(`${folder}/${name}${ending}`)) continue
      moves.push([join(making, folder, `${name}${ending}`), join(to, folder, `${found}${ending}`)])
    }
  }
  return moves
}

/** On FAT two names that differ in case only are one. */
const keyOf = (folder: string, name: string): string => `${folder}/${foldedName(name)}`

/** A folder that others may read, as the files in it are meant for them; FAT has no such modes. */
async function publicFolder(path: string): Promise<void> {
  try {
    await mkdir(path)
    await chmod(path, 0o755).catch(() => undefined)
  } catch (error) {
    if (systemCode(error) !== 'EEXIST') throw error
    // A link would lead the files off the stick.
    if (!(await lstat(path)).isDirectory())
      throw new SystemError('NOT_WRITABLE', `${path} is not a directory`, { hint: 'move it away' })
  }
}

async function place(from: string, to: string): Promise<void> {
  try {
    // Unlike a rename, a link never replaces what is there.
    await link(from, to)
  } catch (error) {
    if (!['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS'].includes(systemCode(error) ?? '')) throw error
    // FAT knows no links. An empty file in place of a claim would outlast a stick that is pulled out.
    if ((await lstat(to).catch(() => undefined)) !== undefined)
      throw new RequestError('REFUSED', `${to} came meanwhile`, { hint: 'try again' })
    await rename(from, to)
  }
}

/** Has the names in a directory written to the disk. */
async function flush(path: string): Promise<void> {
  const file = await open(path, 'r')
  await file.sync().finally(() => file.close())
}

/** Has everything on a file system written. A write that failed since is told here, and by nothing else. */
function flushDisk(path: string, to: string): void {
  const { status, error } = spawnSync('sync', ['-f', path], { stdio: 'ignore' })
  if (status === 0) return
  throw new SystemError('NOT_WRITABLE', `${to} did not take what was written`, {
    hint: 'see that the stick is plugged in and not failing, and try again',
    cause: error,
  })
}

function explain(error: unknown, to: string, making: string): unknown {
  const left = `; if it was pulled out, remove ${basename(making)} from it`
  if (error instanceof SugarError) {
    if (error.code === 'NO_SPACE')
      return new SystemError('NO_SPACE', `there is no room on ${to}; nothing was added`, {
        hint: 'make room, or take another stick',
        cause: error,
      })
    if (error.code !== 'NOT_WRITABLE') return error
    // Of a stick that was pulled out, tar says a line for each file.
    const message = error.message.length > 200 ? `${to} cannot be written; nothing was added` : error.message
    return new SystemError(error.code, message, { hint: `${error.hint ?? ''}${left}`, cause: error })
  }
  const code = systemCode(error)
  if (code === undefined || !/^E[A-Z]+$/.test(code)) return error
  const isOfRoom = isFull(error)
  const message = isOfRoom
    ? `there is no room on ${to}; nothing was added`
    : `${to} cannot be written (${code})`
  return new SystemError(isOfRoom ? 'NO_SPACE' : 'NOT_WRITABLE', message, {
    hint: isOfRoom ? 'make room, or take another stick' : `see that you may write there${left}`,
    cause: error,
  })
}
