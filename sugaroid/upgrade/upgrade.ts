import { mkdir } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { HomeError, UsageError } from '../errors.js'
import { namesIn } from '../journal/layout.js'
import type { Server } from '../server.js'
import { type Fetched, fetchWith, type Progress } from './fetching.js'

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
}

/** What became of a laptop's upgrade. */
export type Upgrade =
  | {
      readonly outcome: 'upgraded'
      readonly directory: string
      readonly isListed: boolean
      readonly bytes: number
    }
  /** The server said no; `said` are its words. */
  | { readonly outcome: 'refused' | 'busy'; readonly said: string; readonly isListed: boolean }
  /** What has come stays in `directory`, and is not sent again. */
  | { readonly outcome: 'failed'; readonly code: number; readonly said: string; readonly directory: string }
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
 * Throws a UsageError for what is no name of a build, a HomeError when there is something else in its place, a
 * MissingProgram without rsync.
 */
export async function upgrade(build: string, options: UpgradeOptions): Promise<Upgrade> {
  if (!name.test(build))
    throw new UsageError(`'${build}' is no build`, 'write its name, such as 885 or 13.2.0-13')
  const { server, begun, progress } = options
  const { host, port } = server
  const modules = `rsync://${host.includes(':') ? `[${host}]` : host}:${port}/`
  const directory = resolve(options.to)
  const others = (await namesIn(directory)).filter((one) => one !== 'contents' && one !== 'root')
  if (others.length > 0) {
    throw new HomeError(
      `${directory} holds something that is no build: ${others[0]}`,
      'name another directory with --to',
    )
  }
  const listing = await fetchWith([`--timeout=${idle}`, modules])
  if (listing.code !== 0) return ended(listing, { directory, isListed: false })
  const isListed = isIn(listing.out, `build-${build}`)
  options.listed?.(isListed)

  await mkdir(directory, { recursive: true })
  const from = `${modules}build-${build}/`
  // The greeting of a server would stand among what differs.
  const whole = ['--no-motd', '-aH', '--numeric-ids', ...(process.getuid?.() === 0 ? [] : ['--fake-super'])]
  const pair = {
    contents: [...whole, `${from}contents`, join(directory, 'contents')],
    root: [...whole, '--delete', `${from}root/`, join(directory, 'root/')],
  }
  begun?.('contents')
  const contents = await fetchWith([`--timeout=${held}`, ...pair.contents])
  if (contents.code !== 0) return ended(contents, { directory, isListed })
  begun?.('root')
  let bytes = 0
  const shown = ['--info=progress2', '--no-h', '--no-i-r', '--partial', `--timeout=${idle}`]
  const root = await fetchWith([...shown, ...pair.root], (far) => {
    bytes = far.bytes
    progress?.(far)
  })
  if (root.code !== 0) return ended(root, { directory, isListed })
  begun?.('comparison')
  const differences: string[] = []
  for (const one of [pair.contents, pair.root]) {
    const found = await fetchWith([`--timeout=${held}`, '-n', '--checksum', '--itemize-changes', ...one])
    if (found.code !== 0) return ended(found, { directory, isListed })
    differences.push(...found.out.split('\n').filter((line) => line !== ''))
  }
  if (differences.length > 0)
    return { outcome: 'differs', differences: differences.slice(0, mostDifferences), directory }
  return { outcome: 'upgraded', directory, isListed, bytes }
}

/** Whether a list of modules, a name and a comment with a tab between, has a module. */
const isIn = (list: string, module: string): boolean =>
  list.split('\n').some((line) => line.slice(0, line.indexOf('\t')).trimEnd() === module)

/** What an rsync that did not end well means to the laptop. */
function ended(
  { code, said }: Fetched,
  { directory, isListed }: { directory: string; isListed: boolean },
): Upgrade {
  const words = /@ERROR: ([^\r\n]*)/.exec(said)?.[1]
  if (words === undefined)
    return { outcome: 'failed', code, said: said.split(/[\r\n]+/).join('; '), directory }
  return { outcome: /\btry again\b/i.test(words) ? 'busy' : 'refused', said: words, isListed }
}
