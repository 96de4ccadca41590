import { RequestError } from '../../../core/api.js'
import { asksForTrial, checkOption, refused } from './options.js'
import { type Direction, type Place, placeOf } from './place.js'

/** What a laptop asks our rsync to do, every word of it checked. */
export interface RsyncCommand {
  /** `push`: the laptop sends; `pull`: it fetches. */
  readonly direction: Direction
  /** As they came, in their order; only the marker's `--temp-dir /tmp` is left out. */
  readonly options: readonly string[]
  /** Seconds without a byte after which the client's rsync gives up; undefined when it never does. */
  readonly timeout?: number
  /** Nothing is done: the client only wants to know what would be. */
  readonly isTrial: boolean
  /** As it came. */
  readonly path: string
  /** What the path means. */
  readonly place: Place
}

/** Characters of a command at most: with every option that is taken it has fewer than 1,000. */
const longest = 4096
const mostWords = 64

/**
 * Reads what a laptop asked to run. Only `rsync --server [--sender] OPTIONS . PATH` is taken, which is what rsync's
 * client sends (docs/reference/protocols.md: backup, The transfer); no shell ever sees it.
 * @throws RequestError REFUSED, which names the option or the reason, and what is accepted
 */
export function parseCommand(text: string): RsyncCommand {
  if (text.length > longest) throw unfit(`the command is longer than ${longest} characters`)
  if (!text.startsWith('rsync --server ')) throw unfit('only rsync is answered here')
  if (/[^\x20-\x7e]/.test(text)) throw unfit('the command holds characters that are no plain ASCII')
  const forShells = /[\\'"`$;&|<>(){}*?[\]!#~^]/.exec(text)
  if (forShells !== null) throw unfit(`the command holds the character ${forShells[0]}`)
  const words = text.split(' ').slice(2)
  if (words.includes('')) throw unfit('the command has two spaces in a row, or one at its end')
  if (words.length > mostWords) throw unfit(`the command has more than ${mostWords} words`)

  const direction = words[0] === '--sender' ? 'pull' : 'push'
  if (direction === 'pull') words.shift()
  const dot = words.indexOf('.')
  if (dot < 0) throw unfit('the command has no "." before its path')
  const [path, ...more] = words.slice(dot + 1)
  if (path === undefined) throw unfit('the command names no directory')
  if (more.length > 0) throw unfit('the command names more than one path')
  const place = placeOf(path, direction)

  const given = words.slice(0, dot)
  const options = place.kind === 'marker' ? withoutTemporary(given) : given
  options.forEach(checkOption)
  const timeout = timeoutOf(options)
  const isTrial = options.some(asksForTrial)
  return { direction, options, isTrial, path, place, ...(timeout === undefined ? {} : { timeout }) }
}

/**
 * Old laptops send the marker with `-T /tmp`, for the directory of markers was not theirs to write
 * (docs/reference/protocols.md: backup, The transfer). Ours has a place of its own for temporary files.
 */
function withoutTemporary(options: readonly string[]): string[] {
  const rest: string[] = []
  for (let at = 0; at < options.length; at += 1) {
    const option = options[at] ?? ''
    if (option === '--temp-dir=/tmp') continue
    if (option === '--temp-dir' || option === '-T') {
      at += 1
      if (options[at] !== '/tmp') throw refused(option, 'the marker may name /tmp only')
    } else {
      rest.push(option)
    }
  }
  return rest
}

/** rsync goes by the last one; 0 is none at all. */
function timeoutOf(options: readonly string[]): number | undefined {
  const last = options.findLast((option) => option.startsWith('--timeout='))
  const seconds = Number(last?.slice('--timeout='.length) ?? 0)
  return seconds === 0 ? undefined : seconds
}

const unfit = (reason: string): RequestError =>
  new RequestError('REFUSED', `${reason}`, {
    hint: 'send with: rsync -rlt --delete DIRECTORY/ SERVER:datastore-current',
  })
