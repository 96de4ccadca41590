import {
  choicesOf,
  newestProtocol,
  protocolFor,
  type RsyncVersion,
  type StreamShape,
} from '../../../core/api.js'
import type { RsyncCommand } from './command.js'
import { lettersOf } from './options.js'

/** Filter rules of a laptop at most; those of the known clients send none. */
const mostRules = 1000

const compressWords: Readonly<Record<string, string>> = {
  '--new-compress': 'zlibx',
  '--old-compress': 'zlib',
}

/**
 * What the stream of a laptop begins with, for the options that it gave. It must be what rsync makes of the same
 * options: a test sends each of them with real clients.
 */
export function streamShape({ direction, options }: RsyncCommand, rsync: RsyncVersion): StreamShape {
  const words = options.map(lettersOf)
  const letters = words.map(({ given }) => given).join('')
  const client = words.findLast((word) => word.client !== undefined)?.client ?? ''
  const choices = choicesOf(
    {
      client,
      compress: countOf(letters, 'z') + options.filter((option) => option === '--compress').length,
      compressChoice: compressionOf(options),
      hasCompressLevel: options.some((option) => option.startsWith('--compress-level=')),
      checksumChoice: wordAfter(options, '--checksum-choice='),
    },
    rsync,
  )
  const filters = direction === 'pull' ? 'always' : filtersOfPush(options, letters)
  return { offered: protocolFor(rsync.protocol, client), choices, filters, mostRules }
}

/** Has our rsync speak no newer protocol than the one whose beginning is known. */
export const protocolWords = ({ protocol }: RsyncVersion): string[] =>
  protocol > newestProtocol ? [`--protocol=${newestProtocol}`] : []

/** A laptop sends its rules where the server would otherwise delete what they protect. */
function filtersOfPush(options: readonly string[], letters: string): StreamShape['filters'] {
  if (letters.includes('m')) return 'always'
  const deletes = options.filter((option) => option === '--delete' || option.startsWith('--delete-'))
  if (deletes.length === 0) return 'never'
  return deletes.includes('--delete-excluded') ? 'from 29' : 'always'
}

function compressionOf(options: readonly string[]): string | undefined {
  const last = options.findLast((one) => one in compressWords || one.startsWith('--compress-choice='))
  return last === undefined ? undefined : (compressWords[last] ?? wordAfter([last], '--compress-choice='))
}

const wordAfter = (options: readonly string[], name: string): string | undefined =>
  options.findLast((option) => option.startsWith(name))?.slice(name.length)

const countOf = (text: string, letter: string): number => text.split(letter).length - 1
