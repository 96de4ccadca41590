import { refusal, shown } from './refusal.js'

/** What an extended header says of the entry behind it; what it does not say is in that entry's own header. */
export interface Extended {
  name?: string
  target?: string
  size?: number
  uid?: number
  gid?: number
  seconds?: number
  nanos?: number
}

/** Bytes of the longest keyword that matters, and more. */
const longestKey = 128

/**
 * Reads the records of a POSIX extended header: `LENGTH KEY=VALUE\n`, the length that of the whole record. Access
 * lists, labels, attributes, comments and the like are passed over.
 * @throws RequestError for records that are none, and for sparse files
 */
export function parseExtended(bytes: Buffer): Extended {
  const found: Extended = {}
  for (let at = 0; at < bytes.length; ) {
    const space = bytes.indexOf(0x20, at)
    const digits = space === -1 || space - at > 7 ? '' : bytes.toString('latin1', at, space)
    const end = at + (/^[1-9]\d*$/.test(digits) ? Number(digits) : 0)
    const equals = bytes.indexOf(0x3d, space)
    const key = bytes.toString('latin1', space + 1, Math.min(equals, space + 1 + longestKey))
    // GNU tar passes over blanks before a keyword, and would take for `path` what is none to us.
    if (end > bytes.length || bytes[end - 1] !== 0x0a || equals >= end || !/^[^ \t]/.test(key)) {
      throw refusal('an extended header is damaged')
    }
    if (key.startsWith('GNU.sparse.')) throw refusal('it holds a sparse file')
    if (isKnown(key)) readers[key](found, bytes.toString('latin1', equals + 1, end - 1))
    at = end
  }
  return found
}

/**
 * Reads an extended header for all entries behind it: a comment, as `git archive` writes one.
 * @throws RequestError when it says anything of entries; nobody writes that
 */
export function checkGlobal(bytes: Buffer): void {
  const [key] = Object.keys(parseExtended(bytes))
  if (key !== undefined) throw refusal(`a header says the ${key} of all entries at once`)
}

const readers = {
  path: (found: Extended, text: string) => {
    found.name = text
  },
  linkpath: (found: Extended, text: string) => {
    found.target = text
  },
  size: (found: Extended, text: string) => {
    found.size = wholeNumber(text, 'size')
  },
  uid: (found: Extended, text: string) => {
    found.uid = wholeNumber(text, 'owner')
  },
  gid: (found: Extended, text: string) => {
    found.gid = wholeNumber(text, 'group')
  },
  mtime: (found: Extended, text: string) => {
    const [, sign = '', whole = '', fraction = ''] = /^(-?)(\d{1,15})(?:\.(\d{0,40}))?$/.exec(text) ?? []
    if (whole === '') throw refusal(`a time in an extended header is ${shown(text)}`)
    const nanos = Number(fraction.slice(0, 9).padEnd(9, '0'))
    // Times before 1970 count up to zero too.
    found.seconds = sign === '' ? Number(whole) : -Number(whole) - (nanos > 0 ? 1 : 0)
    found.nanos = sign === '' || nanos === 0 ? nanos : 1_000_000_000 - nanos
  },
} as const

const isKnown = (key: string): key is keyof typeof readers => Object.hasOwn(readers, key)

function wholeNumber(text: string, what: string): number {
  if (!/^\d{1,15}$/.test(text)) throw refusal(`the ${what} in an extended header is ${shown(text)}`)
  return Number(text)
}
