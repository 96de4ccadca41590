import { lettersOf, RequestError } from '../../../core/api.js'

/**
 * What a laptop may ask of our rsync. A word is taken as it came or refused: the letters frame what follows on the
 * wire, so that a word with one letter less would garble the transfer (docs/reference/protocols.md: backup,
 * The transfer).
 */

/** Letters that only say what is compared, kept and told. What is special about each stands in rsync(1). */
const letters = new Set('vqclogDtprzHWxIunSOJdm')

/** Letters that clients do send, and why they are not taken. */
const refusedLetters: Readonly<Record<string, string>> = {
  A: 'access control lists are not kept',
  C: 'it reads files of the server',
  E: 'use --perms',
  K: 'it writes through links',
  L: 'it follows links',
  N: 'times of creation are not kept',
  R: 'a backup is one directory',
  U: 'times of access are not kept',
  X: 'extended attributes are not kept',
  b: 'the server keeps older versions itself',
  k: 'it follows links',
  s: 'use --no-secluded-args, so that the server sees what is asked of it',
  y: 'use --no-fuzzy',
}

const number = /^\d{1,12}$/
const words = /^[A-Za-z0-9,]{1,200}$/

/** Long options, and the form of their value; undefined for those without one. */
const longOptions = new Map<string, RegExp | undefined>([
  ['bwlimit', /^\d{1,9}(\.\d{1,3})?$/],
  ['checksum-choice', words],
  ['checksum-seed', /^-?\d{1,12}$/],
  ['compress', undefined],
  ['compress-choice', words],
  ['compress-level', /^-?\d{1,9}$/],
  ['delete', undefined],
  ['delete-after', undefined],
  ['delete-before', undefined],
  ['delete-delay', undefined],
  ['delete-during', undefined],
  ['delete-excluded', undefined],
  ['existing', undefined],
  ['force', undefined],
  ['fsync', undefined],
  ['ignore-errors', undefined],
  ['ignore-existing', undefined],
  ['ignore-missing-args', undefined],
  ['info', words],
  ['list-only', undefined],
  ['log-format', /^(X|%i|%i%I|%o)$/],
  ['max-delete', /^-?\d{1,12}$/],
  ['max-size', number],
  ['min-size', number],
  ['modify-window', /^-?\d{1,9}$/],
  ['msgs2stderr', undefined],
  ['new-compress', undefined],
  ['no-msgs2stderr', undefined],
  ['no-r', undefined],
  ['numeric-ids', undefined],
  ['old-compress', undefined],
  ['partial', undefined],
  ['safe-links', undefined],
  ['size-only', undefined],
  ['stats', undefined],
  ['timeout', /^\d{1,4}$/],
])

const elsewhere = 'it reads or writes at another place than the backup'
const inPlace = 'it changes files in place'
const secondCopy = 'the server keeps older versions itself'

/** Long options that clients do send, and why they are not taken. */
const refusedOptions: Readonly<Record<string, string>> = {
  append: inPlace,
  'append-verify': inPlace,
  backup: secondCopy,
  'backup-dir': secondCopy,
  'compare-dest': elsewhere,
  config: 'the server has no daemon',
  'copy-dest': elsewhere,
  'copy-devices': 'devices are not kept',
  'copy-links': 'it follows links',
  'copy-unsafe-links': 'it follows links',
  daemon: 'the server has no daemon',
  debug: 'it tells too much of the server',
  'delay-updates': 'the server keeps older versions itself',
  'delete-missing-args': 'it deletes what is asked for',
  'files-from': elsewhere,
  fuzzy: 'use --no-fuzzy',
  iconv: 'names are kept as they are',
  inplace: inPlace,
  'link-dest': elsewhere,
  'log-file': elsewhere,
  mkpath: 'a backup is one directory',
  'only-write-batch': elsewhere,
  'partial-dir': elsewhere,
  relative: 'a backup is one directory',
  'remove-sent-files': 'it deletes what is on the server',
  'remove-source-files': 'it deletes what is on the server',
  'secluded-args': 'use --no-secluded-args, so that the server sees what is asked of it',
  'temp-dir': elsewhere,
  'write-devices': inPlace,
}

const blockSize = /^-B\d{1,6}$/

/** @throws RequestError REFUSED when a word is not one of those that may be passed on */
export function checkOption(word: string): void {
  if (blockSize.test(word)) return
  if (word.startsWith('--')) checkLong(word)
  else checkLetters(word)
}

/** Whether a word that may be passed on makes it a trial (`-n`, `--list-only`). */
export function asksForTrial(word: string): boolean {
  return lettersOf(word)?.given.includes('n') === true || word === '--list-only'
}

function checkLong(word: string): void {
  const [, name = '', value] = /^--([a-z0-9-]+)(?:=(.*))?$/.exec(word) ?? []
  const reason = refusedOptions[name]
  if (reason !== undefined) throw refused(`--${name}`, reason)
  if (!longOptions.has(name)) throw refused(`--${name}`, 'it is not one that a backup needs')
  const form = longOptions.get(name)
  if (form === undefined ? value !== undefined : value === undefined || !form.test(value)) {
    throw refused(`--${name}`, form === undefined ? 'it takes no value' : 'its value is not one it can have')
  }
}

function checkLetters(word: string): void {
  const known = lettersOf(word)
  if (known === undefined) throw refused(word, 'it is not one that rsync sends')
  for (const letter of known.given) {
    if (letters.has(letter)) continue
    throw refused(`-${letter}`, refusedLetters[letter] ?? 'it is not one that a backup needs')
  }
}

/** A word may be long; its beginning tells which it is. */
const shown = (word: string): string => (word.length > 40 ? `${word.slice(0, 40)}...` : word)

export const refused = (option: string, reason: string): RequestError =>
  new RequestError('REFUSED', `the rsync option ${shown(option)} is refused: ${reason}`, {
    hint: 'use rsync -rlt, with -z, --delete, --partial and --timeout as you like',
  })

/**
 * Whether the client's rsync tells ours of files that it could not open: since protocol 30, which it announces by the
 * letter e. An older one ends with 23 on the laptop, and ours with 0.
 */
export const tellsOfErrors = (options: readonly string[]): boolean =>
  options.some((word) => lettersOf(word)?.client !== undefined)

const leavesOut = /^--(?:existing|ignore-existing|max-size|min-size)/

/** Whether everything that the client lists is to be here afterwards, so that their bytes can be compared. */
export const takesAll = (options: readonly string[]): boolean => {
  const given = options.map((word) => lettersOf(word)?.given ?? '').join('')
  return given.includes('l') && !given.includes('u') && !options.some((word) => leavesOut.test(word))
}

/** Whether what the client does not list is removed. */
export const deletes = (options: readonly string[]): boolean =>
  options.some((word) => word.startsWith('--delete')) &&
  !options.some((word) => word.startsWith('--max-delete'))
