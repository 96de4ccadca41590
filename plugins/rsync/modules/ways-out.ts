import { opendir, readlink, realpath } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { isWithin } from './directory.js'

/** Entries that are looked at, at most. */
const usual = 200_000
/** Links that are named; more are counted. */
const named = 3

/** Links in a directory that lead to what is not published. */
export interface WaysOut {
  readonly count: number
  /** Some of them, from the directory on, and where each leads. */
  readonly some: readonly { readonly link: string; readonly to: string }[]
  /** Whether all of the directory was looked through. */
  readonly isWhole: boolean
}

/**
 * Looks for links that lead out of a directory.
 * @param pub what lies there is published anyway
 * @returns undefined when it is given up
 */
export async function waysOut(
  folder: string,
  pub: string,
  signal: AbortSignal,
  most = usual,
): Promise<WaysOut | undefined> {
  const base = await real(folder)
  const open = [base, await real(pub)]
  const some: { link: string; to: string }[] = []
  let [count, entries] = [0, 0]
  const folders = ['']
  for (let at = folders.pop(); at !== undefined; at = folders.pop()) {
    for await (const { name, isLink, isFolder } of entriesOf(join(base, at))) {
      if (signal.aborted) return undefined
      entries += 1
      if (entries > most) return { count, some, isWhole: false }
      const path = join(at, name)
      if (isFolder) folders.push(path)
      if (!isLink) continue
      const to = await endOf(join(base, path))
      if (open.some((one) => isWithin(to, one))) continue
      count += 1
      if (some.length < named) some.push({ link: path, to })
    }
  }
  return { count, some, isWhole: true }
}

const real = (path: string): Promise<string> => realpath(path).catch(() => path)

interface Entry {
  readonly name: string
  readonly isLink: boolean
  readonly isFolder: boolean
}

/** What cannot be read here, rsync cannot read either. */
async function* entriesOf(folder: string): AsyncGenerator<Entry, void> {
  try {
    for await (const entry of await opendir(folder, { bufferSize: 256 })) {
      yield { name: entry.name, isLink: entry.isSymbolicLink(), isFolder: entry.isDirectory() }
    }
  } catch {
    // Gone, or not ours to read.
  }
}

/** Where a link leads; or would, to what is not there yet. */
async function endOf(link: string): Promise<string> {
  try {
    return await realpath(link)
  } catch {
    const to = await readlink(link).catch(() => '')
    return resolve(dirname(link), to)
  }
}
