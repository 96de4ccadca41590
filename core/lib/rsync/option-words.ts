import type { StreamOptions } from './stream-shape.js'

// The letter e carries what the client's protocol can do: `.iLsfxCIvu`; before a release also its version.
const letterWord = /^-([A-Za-z]*?)(e\d{0,3}\.\d{0,3}[A-Za-z]{0,20})?$/

/** A word of letters, such as `-ltrze.iLsfxCIvu`, taken apart. */
export interface Letters {
  /** `ltrz` */
  readonly given: string
  /** What stands after the letter e: `.iLsfxCIvu`; undefined without that letter. */
  readonly client: string | undefined
}

/** @returns undefined for a word of another form */
export function lettersOf(word: string): Letters | undefined {
  const [matched, given = '', client] = letterWord.exec(word) ?? []
  if (matched === undefined || (given === '' && client === undefined)) return undefined
  return { given, client: client?.slice(1) }
}

const compressWords: Readonly<Record<string, string>> = {
  '--new-compress': 'zlibx',
  '--old-compress': 'zlib',
}

/**
 * What options say of the stream to come. Options with a value must be of the form `--name=value`, and those that this
 * does not look at must not change what it looks at.
 */
export function streamOptionsOf(words: readonly string[]): StreamOptions {
  const letters = words.flatMap((word) => lettersOf(word) ?? [])
  return {
    client: letters.findLast(({ client }) => client !== undefined)?.client ?? '',
    compress: letters
      .flatMap(({ given }) => [...given])
      .concat(words)
      .filter((one) => one === 'z' || one === '--compress').length,
    compressChoice: compressionOf(words),
    hasCompressLevel: lastValue(words, '--compress-level=') !== undefined,
    checksumChoice: lastValue(words, '--checksum-choice='),
  }
}

function compressionOf(words: readonly string[]): string | undefined {
  const last = words.findLast((one) => one in compressWords || one.startsWith('--compress-choice='))
  return last === undefined ? undefined : (compressWords[last] ?? lastValue([last], '--compress-choice='))
}

const lastValue = (words: readonly string[], name: string): string | undefined =>
  words.findLast((word) => word.startsWith(name))?.slice(name.length)
