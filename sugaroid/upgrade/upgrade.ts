import { join, resolve } from 'node:path'
import { UsageError } from '../errors.js'
import type { Server } from '../server.js'
import { type Ending, endingOf } from './ending.js'
import { type Fetched, fetchWith, type Progress } from './fetching.js'
import { checkPlace, makePlace } from './place.js'

export const upgradePort = 873

export interface UpgradeOptions {
  readonly server: Server
  /** Where the build goes: a new directory, or one that holds an older build, which becomes this one. */
  readonly to: string
  /** Told once the list of modules is there. */
  readonly listed?: (isListed: boolean) => void
  /** Told before the manifest, the tree, and the comparison of both. */
  readonly begun?: (what: 'contents' | 'root' | 'comparison') => void
  /** Told now and then while the tree comes. */
  readonly progress?: (progress: Progress) => void
  /** Gives up: what runs is ended, and has ended when the call resolves. */
  readonly signal?: AbortSignal
}

/** What became of a laptop's upgrade. What has come stays in `directory`, and is not sent again. */
export type Upgrade =
  | {
      readonly outcome: 'upgraded'
      readonly directory: string
      readonly isListed: boolean
      readonly bytes: number
    }
  /** The server does not answer, or is no rsync. `code` is rsync's. */
  | { readonly outcome: 'unreachable'; readonly code: number; readonly said: string }
  | (Ending & { readonly directory: string; readonly isListed: boolean })
  | { readonly outcome: 'interrupted'; readonly directory: string }
  /** What has come is not what the server has. */
  | { readonly outcome: 'differs'; readonly differences: readonly string[]; readonly directory: string }

/** Seconds without a byte: while a server fetches a build itself, it lets the laptop wait. */
const held = 3700
const idle = 160

const name = /^[A-Za-z0-9][A-Za-z0-9._+-]{0,63}$/

const mostDifferences = 1000

/**
 * Fetches a build of the operating system, as a laptop does when it upgrades itself: its manifest `contents`, then the
 * tree, then compares both with the server once more. Without root's rights owners and devices are kept in attributes.
 * Throws a UsageError for what is no name of a build, a HomeError when it cannot come to its place, a MissingProgram
 * without rsync.
 */
export async function upgrade(build: string, options: UpgradeOptions): Promise<Upgrade> {
  if (!name.test(build))
    throw new UsageError(`'${build}' is no build`, 'write its name, such as 885 or 13.2.0-13')
  const { server, begun, progress, signal } = options
  const { host, port } = server
  const modules = `rsync://${host.includes(':') ? `[${host}]` : host}:${port}/`
  const directory = resolve(options.to)
  await checkPlace(directory)
  const listing = await fetchWith([`--timeout=${idle}`, modules], { signal })
  const isListed = listing.code === 0 && isIn(listing.out, `build-${build}`)
  const ended = (found: Fetched): Upgrade => {
    if (signal?.aborted) return { outcome: 'interrupted', directory }
    const ending = endingOf(found)
    if (found === listing && ending.outcome === 'failed') return { ...ending, outcome: 'unreachable' }
    return { ...ending, directory, isListed }
  }
  if (listing.code !== 0) return ended(listing)
  options.listed?.(isListed)

  await makePlace(directory)
  const from = `${modules}build-${build}/`
  // The greeting of a server would stand among what differs.
  const whole = ['--no-motd', '-aH', '--numeric-ids', ...(process.getuid?.() === 0 ? [] : ['--fake-super'])]
  const pair = {
    contents: [...whole, `${from}contents`, join(directory, 'contents')],
    root: [...whole, '--delete', `${from}root/`, join(directory, 'root/')],
  }
  begun?.('contents')
  const contents = await fetchWith([`--timeout=${held}`, ...pair.contents], { signal })
  if (contents.code !== 0) return ended(contents)
  begun?.('root')
  let bytes = 0
  const shown = ['--info=progress2', '--no-h', '--no-i-r', '--partial', `--timeout=${idle}`]
  const told = (far: Progress) => {
    bytes = far.bytes
    progress?.(far)
  }
  const root = await fetchWith([...shown, ...pair.root], { told, signal })
  if (root.code !== 0) return ended(root)
  begun?.('comparison')
  const differences: string[] = []
  for (const one of [pair.contents, pair.root]) {
    const compare = [`--timeout=${held}`, '-n', '--checksum', '--itemize-changes', ...one]
    const found = await fetchWith(compare, { signal })
    if (found.code !== 0) return ended(found)
    differences.push(...found.out.split('\n').filter((line) => line !== ''))
  }
  if (differences.length > 0)
    return { outcome: 'differs', differences: differences.slice(0, mostDifferences), directory }
  return { outcome: 'upgraded', directory, isListed, bytes }
}

/** Whether a list of modules, a name and a comment with a tab between, has a module. */
const isIn = (list: string, module: string): boolean =>
  list.split('\n').some((line) => line.slice(0, line.indexOf('\t')).trimEnd() === module)
