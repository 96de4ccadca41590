import { closeSync, lstatSync, openSync, readSync } from 'node:fs'
import { printable, systemCode } from '../../../core/api.js'
import { below, isInside } from '../journal/path.js'

/** How the session ended after which a snapshot is taken. */
export interface Transfer {
  /** Exit code of the rsync on the server, which receives: rsync(1), EXIT VALUES. */
  readonly code: number
  /** Log of that rsync. It names what is missing where it was started so (rsync/arguments.ts). */
  readonly log?: string | undefined
  /** For a client that does not tell of files that it could not open: what must be here now. */
  readonly expected?: Expected | undefined
}

/** Bytes of all files and links in the laptop's list. */
export interface Expected {
  readonly bytes: number
  /** Whether the client had all else removed, so that there is not more here either. */
  readonly exactly: boolean
}

/**
 * Exit codes with which rsync has done everything that it could. The receiver has them too, since the sender tells it:
 * - 23: some files could not be read on the laptop, or not be written on the server. Nothing was deleted.
 * - 24: files went on the laptop after they were listed.
 * - 25: `--max-delete` kept files that went on the laptop.
 */
export const partialCodes: ReadonlySet<number> = new Set([23, 24, 25])

/** Names that are told, and the characters of each: all of it must fit into the header of a snapshot. */
const mostNames = 8
const longestName = 80
/** Names of which it is looked whether they came. */
const mostListed = 1_000_000

// Lines of rsync's log behind `DATE TIME [PID] `, as --debug=genr,deltasum2 and --log-file-format='%i %l %n' make them.
const listed = /^recv_generator\((.+),(\d+)\)$/
const requested = /^generating and sending sums for (\d+)$/
const received = /^>f\S+ \d+ (.+)$/
const skipped = /^skipping non-regular file "(.+)"$/
const unwritable =
  /^rsync: \[(?:receiver|generator)\] [a-z_: ]*"(.+?)"(?: -> ".*?")?(?: failed)?: (.+ \(\d+\))/

/** What a log of rsync says of what did not come. */
interface Gaps {
  /** Paths that the laptop listed and that are not here, or not as the laptop has them. */
  readonly missing: readonly string[]
  /** What the server itself could not write, and why. */
  readonly unwritable: readonly string[]
}

/**
 * In words what a session left out, for operators; at most 1,500 bytes. undefined when it left nothing out.
 * @param top directory that was sent to
 * @param here bytes of the files and links that are there now
 */
export function incompleteBy(
  { code, log, expected }: Transfer,
  top: string,
  here: number,
): string | undefined {
  const isOther = code === 0 && expected !== undefined && differs(here, expected)
  if (!partialCodes.has(code) && !isOther) return undefined
  if (code === 25)
    return 'files that were deleted on the laptop are still here: rsync stopped at --max-delete'
  const { missing, unwritable } = log === undefined ? { missing: [], unwritable: [] } : gapsIn(log, top)
  const parts: string[] = []
  if (unwritable.length > 0) parts.push(`the server could not write ${naming(unwritable)}`)
  if (missing.length > 0) parts.push(`the laptop did not send ${naming(missing)}`)
  if (parts.length > 0) return parts.join('; ')
  const what =
    code === 24
      ? 'files went away on the laptop while it sent them'
      : `the laptop could not ${isOther ? 'send' : 'read'} some of its files`
  return `${what}; its next backup names them here`
}

const differs = (here: number, { bytes, exactly }: Expected): boolean =>
  here < bytes || (exactly && here > bytes)

/** `2 files: a, b`, or the first ones and how many more. */
function naming(names: readonly string[]): string {
  const shown = names.slice(0, mostNames).map(shownName)
  const more = names.length - shown.length
  const count = `${names.length} ${names.length === 1 ? 'file' : 'files'}`
  return `${count}: ${shown.join(', ')}${more > 0 ? ` and ${more} more` : ''}`
}

function shownName(name: string): string {
  const text = printable(Buffer.from(name, 'latin1').toString('utf8')).replaceAll('\\', '/')
  return text.length > longestName ? `...${text.slice(-longestName)}` : text
}

/** Reads a log of rsync and looks which of the files that it names are not there. */
function gapsIn(log: string, top: string): Gaps {
  const names = new Map<string, string>()
  const sums = new Set<string>()
  const came = new Set<string>()
  const passedOver = new Set<string>()
  const unwritable: string[] = []
  for (const line of linesOf(log)) {
    const text = line.replace(/^\S+ \S+ \[\d+\] /, '')
    const [, name, index] = listed.exec(text) ?? []
    if (name !== undefined && index !== undefined) {
      if (names.size < mostListed) names.set(index, name)
      continue
    }
    const sum = requested.exec(text)?.[1]
    if (sum !== undefined) sums.add(sum)
    const file = received.exec(text)?.[1]
    if (file !== undefined) came.add(file)
    const odd = skipped.exec(text)?.[1]
    if (odd !== undefined) passedOver.add(odd)
    const [, path, why] = unwritableIn(text)
    if (path !== undefined && unwritable.length < mostListed)
      unwritable.push(`${withoutTop(path, top)}: ${why}`)
  }
  const missing = [...names]
    .filter(
      ([index, name]) => !came.has(name) && !passedOver.has(name) && (sums.has(index) || !isThere(top, name)),
    )
    .map(([, name]) => name)
  return { missing, unwritable }
}

const unwritableIn = (text: string): readonly string[] => unwritable.exec(text) ?? []

const withoutTop = (path: string, top: string): string =>
  path.startsWith(`${top}/`) ? path.slice(top.length + 1) : path

/** Names are what a laptop sent: one that cannot be in a tree was not taken either. */
function isThere(top: string, name: string): boolean {
  if (!isInside(name)) return true
  try {
    lstatSync(below(top, name))
    return true
  } catch (error) {
    return !['ENOENT', 'ENOTDIR'].includes(systemCode(error) ?? '')
  }
}

const block = 256 << 10
const longestLine = 16 << 10

/** The lines of a file, one character a byte. Of a line that is too long only the beginning is given. */
function* linesOf(path: string): Generator<string> {
  let file: number
  try {
    file = openSync(path, 'r')
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return
    throw error
  }
  try {
    const buffer = Buffer.allocUnsafe(block)
    let rest = ''
    for (;;) {
      const length = readSync(file, buffer, 0, block, null)
      if (length === 0) break
      const lines = (rest + buffer.toString('latin1', 0, length)).split('\n')
      rest = (lines.pop() ?? '').slice(0, longestLine)
      yield* lines
    }
    if (rest !== '') yield rest
  } finally {
    closeSync(file)
  }
}
