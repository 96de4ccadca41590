import {
  choicesOf,
  lettersOf,
  newestProtocol,
  protocolFor,
  type RsyncVersion,
  type StreamShape,
  streamOptionsOf,
} from '../../../core/api.js'
import type { RsyncCommand } from './command.js'

/** Filter rules of a laptop at most; the known clients send none. */
const mostRules = 1000

/**
 * What the stream of a laptop begins with, for the options that it gave. It must be what rsync makes of the same
 * options: a test sends each of them with real clients.
 */
export function streamShape({ direction, options }: RsyncCommand, rsync: RsyncVersion): StreamShape {
  const stream = streamOptionsOf(options)
  const filters = direction === 'pull' ? 'always' : filtersOfPush(options)
  return {
    offered: protocolFor(rsync.protocol, stream.client),
    choices: choicesOf(stream, rsync),
    filters,
    mostRules,
  }
}

/** Has our rsync speak no newer protocol than the one whose beginning is known. */
export const protocolWords = ({ protocol }: RsyncVersion): string[] =>
  protocol > newestProtocol ? [`--protocol=${newestProtocol}`] : []

/** A laptop sends its rules where the server would otherwise delete what they protect. */
function filtersOfPush(options: readonly string[]): StreamShape['filters'] {
  if (options.some((option) => lettersOf(option)?.given.includes('m'))) return 'always'
  const deletes = options.filter((option) => option === '--delete' || option.startsWith('--delete-'))
  if (deletes.length === 0) return 'never'
  return deletes.includes('--delete-excluded') ? 'from 29' : 'always'
}
