import { integer, list, type Option, seconds } from '../../core/api.js'
import { parsePrefetch } from './prefetch/plan.js'
import { parseSource } from './sources/word.js'

type Words = Option<readonly string[]>

/** Has a mistake in a list named with all the others, before anything starts. */
const checked = (option: Words, check: (word: string, index: number) => unknown): Words => ({
  ...option,
  read(text, reading) {
    const words = option.read(text, reading)
    words.forEach(check)
    return words
  },
})

export const options = {
  'upgrade-sources': {
    ...checked(
      list({
        help: 'Where builds are that are not here: http(s) addresses with {name}, directories, rsync://HOST/ of other school servers; asked in this order.',
        default: [],
        placeholder: 'SOURCE,SOURCE',
      }),
      parseSource,
    ),
    // Addresses may hold passwords.
    secret: true,
  },
  'upgrade-hold-seconds': seconds({
    help: 'How long a laptop is held that asked for a build which must be fetched first; then it is told to come back.',
    default: 600,
    max: 3600,
  }),
  'upgrade-limit': integer({
    help: 'Megabytes of fetched builds; the one that nobody has asked for the longest goes first.',
    default: 16_384,
    min: 1,
    max: 1_000_000_000,
    placeholder: 'MB',
  }),
  'upgrade-keep-free': integer({
    help: 'Megabytes of the disk that stay free: builds go, and none is fetched, below it.',
    default: 1024,
    min: 0,
    max: 1_000_000_000,
    placeholder: 'MB',
  }),
  'upgrade-prefetch': checked(
    list({
      help: 'Builds to fetch before anybody asks, each with a time of day: 13.2.0-13@02:30.',
      default: [],
      placeholder: 'NAME@HH:MM,...',
    }),
    parsePrefetch,
  ),
} as const
