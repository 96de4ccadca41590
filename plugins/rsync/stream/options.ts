import { lettersOf, RequestError } from '../../../core/api.js'

/**
 * What clients may ask of the rsync that serves a directory as it is on the disk. These are the options that an rsync
 * client sends, and none of them has the server read a file by name, follow a link, or write. A word that is not known
 * is refused: nothing could be said of the stream that follows.
 */

/** Letters of options without a value. */
const letters = new Set('vqbunldKmOJyWHogDtUNpEAXrcIRxSzsih')

const refusedLetters: Readonly<Record<string, string>> = {
  C: 'cvs-exclude (-C)',
  F: 'filter (-F)',
  L: 'copy-links (-L)',
  f: 'filter (-f)',
  k: 'copy-dirlinks (-k)',
}

const words = new Set([
  ...['append', 'append-verify', 'compress', 'delay-updates', 'delete', 'delete-after', 'delete-before'],
  ...[
    'delete-delay',
    'delete-during',
    'delete-excluded',
    'delete-missing-args',
    'existing',
    'force',
    'from0',
  ],
  ...['fsync', 'ignore-errors', 'ignore-existing', 'ignore-missing-args', 'inplace', 'list-only', 'mkpath'],
  ...['msgs2stderr', 'new-compress', 'no-R', 'no-W', 'no-i-d', 'no-implied-dirs', 'no-msgs2stderr', 'no-r'],
  ...['no-relative', 'no-specials', 'numeric-ids', 'old-compress', 'open-noatime', 'partial', 'qsort'],
  ...['remove-sent-files', 'remove-source-files', 'safe-links', 'sender', 'server', 'size-only', 'specials'],
  ...['stats', 'super', 'use-qsort', 'write-devices'],
])

/** Options of the form `--name=value`. */
const withValue = new Set([
  ...[
    'block-size',
    'bwlimit',
    'checksum-choice',
    'checksum-seed',
    'compress-choice',
    'compress-level',
    'debug',
  ],
  ...['groupmap', 'iconv', 'info', 'log-format', 'max-alloc', 'max-delete', 'max-size', 'min-size'],
  ...['modify-window', 'skip-compress', 'suffix', 'timeout', 'usermap'],
])

/** Options whose value is the next word: directories of one who sends files to a server. */
const withNextWord = new Set([
  ...['backup-dir', 'compare-dest', 'copy-dest', 'link-dest', 'partial-dir', 'temp-dir'],
])

const refusedWords = new Set([
  ...['copy-devices', 'copy-dirlinks', 'copy-links', 'copy-unsafe-links', 'cvs-exclude', 'exclude-from'],
  ...[
    'filter',
    'include-from',
    'insecure-links',
    'log-file',
    'only-write-batch',
    'read-batch',
    'write-batch',
  ],
])

/** What clients with secluded arguments send at the end of the first list, up to protocol 29; it is no option. */
const nothing = '(null)'

const number = /^-(?:B\d{1,9}|@-?\d{1,9})$/

/**
 * Looks through the words that stand before the `.` on the command line of a server's rsync.
 * @throws RequestError with the words that rsync itself has for such a case
 */
export function checkOptions(all: readonly string[]): void {
  for (let at = 0; at < all.length; at += 1) {
    const word = all[at] ?? ''
    const name = word.startsWith('--') ? word.slice(2) : undefined
    if (name === undefined) checkLetters(word)
    else if (withNextWord.has(name)) at += 1
    else checkLong(name, word)
  }
}

function checkLong(text: string, word: string): void {
  const [name = '', value] = divided(text)
  if (refusedWords.has(name)) throw refusedOption(name)
  if (name === 'files-from') {
    if (value !== '-') throw refusedOption('files-from with a file of the server')
  } else if (value === undefined ? !words.has(name) : !withValue.has(name)) {
    throw refused(`on remote machine: ${word}: unknown option`)
  }
}

function checkLetters(word: string): void {
  if (word === nothing || number.test(word)) return
  const known = lettersOf(word)
  if (known === undefined) throw refused(`on remote machine: ${word}: unknown option`)
  for (const letter of known.given) {
    if (letters.has(letter)) continue
    const name = refusedLetters[letter]
    throw name === undefined ? refused(`on remote machine: -${letter}: unknown option`) : refusedOption(name)
  }
}

function divided(text: string): [name: string, value?: string] {
  const at = text.indexOf('=')
  return at === -1 ? [text] : [text.slice(0, at), text.slice(at + 1)]
}

const refusedOption = (name: string): RequestError => refused(`The server is configured to refuse --${name}`)
const refused = (message: string): RequestError => new RequestError('REFUSED', message)
