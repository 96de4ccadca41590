import { RequestError } from '../errors.js'

export const manifestName = 'manifest.sha1'
export const signatureName = 'manifest.sha1.sig'

/** Bytes that a manifest may have: some ten thousand files. */
export const largestManifest = 1024 * 1024

/** Bytes of a name on any file system of Linux. */
const longestName = 255

/** A file that a manifest names. */
export interface Named {
  readonly name: string
  /** Its SHA-1, 40 digits in lower case. */
  readonly sum: string
}

/** What stands for a name where case does not count: a stick's file system keeps none, or another. */
export const folded = (name: string): string => name.toLowerCase()

/** Whether it is the name of the manifest or of its signature. */
export const isOwn = (name: string): boolean => [manifestName, signatureName].includes(folded(name))

/**
 * Reads what sha1sum(1) wrote: `<sum>  NAME` or `<sum> *NAME` a line, `./` in front of a name and CRLF allowed. Lines
 * about the manifest itself and its signature are passed over: who makes a manifest a second time, by `sha1sum *`, has
 * them in it, and wrong.
 * @param path of the manifest, for errors
 * @returns what it names, in order, by folded name
 * @throws RequestError REQUEST_INVALID for a line that is anything else, a name that leads out of the directory or could
 *   be no file's, and a name that comes twice
 * @see docs/reference/protocols.md: Anti-theft
 */
export function parseManifest(bytes: Buffer, path: string): Map<string, Named> {
  const named = new Map<string, Named>()
  let number = 0
  for (let start = 0; start < bytes.length; number += 1) {
    const newline = bytes.indexOf(0x0a, start)
    const end = newline === -1 ? bytes.length : newline
    const refuse = (reason: string) => {
      const hint = 'make it anew, in that directory: sha1sum -- * > manifest.sha1'
      return new RequestError('REQUEST_INVALID', `${path}, line ${number + 1}: ${reason}`, { hint })
    }
    const line = lineOf(bytes.subarray(start, end), refuse)
    start = end + 1
    if (line === '') continue
    const one = namedIn(line, refuse)
    if (isOwn(one.name)) continue
    const before = named.get(folded(one.name))
    if (before !== undefined) {
      throw refuse(`${one.name} comes twice${before.name === one.name ? '' : `, before as ${before.name}`}`)
    }
    named.set(folded(one.name), one)
  }
  return named
}

type Refuse = (reason: string) => RequestError

const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

function lineOf(bytes: Buffer, refuse: Refuse): string {
  try {
    return decoder.decode(bytes).replace(/\r$/, '')
  } catch {
    throw refuse('it is not UTF-8')
  }
}

function namedIn(line: string, refuse: Refuse): Named {
  if (line.startsWith('\\')) throw refuse('it names a file with a backslash or a line end in its name')
  const [, sum, written] = /^([0-9a-fA-F]{40}) [ *](.*)$/s.exec(line) ?? []
  if (sum === undefined || written === undefined) {
    throw refuse(`${quoted(line)} is not a sum and a name`)
  }
  const name = written.replace(/^\.\//, '')
  const fault = faultOf(name)
  if (fault !== undefined) throw refuse(`${quoted(written)} ${fault}`)
  return { name, sum: sum.toLowerCase() }
}

const quoted = (text: string): string => JSON.stringify(text.length > 80 ? `${text.slice(0, 80)}...` : text)

/** Why a name could be no file's in the directory itself, or undefined. */
function faultOf(name: string): string | undefined {
  if (name === '' || name === '.' || name === '..') return 'is not the name of a file'
  if (/[\0-\x1f\x7f]/.test(name)) return 'holds a control character'
  if (name.includes('/')) return 'leads to another directory'
  if (name.includes('\\')) return 'holds a backslash'
  return Buffer.byteLength(name) > longestName ? `is longer than ${longestName} bytes` : undefined
}
