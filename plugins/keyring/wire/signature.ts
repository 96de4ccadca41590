import { constants, verify } from 'node:crypto'
import type { PublicKey } from './key.js'
import { isExpiry, type Moment } from './moment.js'

export type Hash = 'sha256' | 'sha512' | 'rmd160'

/** What node's crypto calls them. */
export const digests: Readonly<Record<Hash, string>> = {
  sha256: 'sha256',
  sha512: 'sha512',
  rmd160: 'ripemd160',
}

/** Bytes of salt, to the byte: laptops know no other. */
export const saltLength = 8

/** The scheme, as node's crypto wants it beside a key: RSASSA-PSS, MGF1 of the same hash. */
export const pss = { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength } as const

/** One signature of a `sig01`. */
export interface Mark {
  readonly hash: Hash
  /** Id of the key, 64 hex digits, or the whole key, 540. */
  readonly key: string
  /** 512 hex digits. */
  readonly signature: string
}

/** One link of a `sig02`: who signs, and until when that counts. */
export interface Link extends Mark {
  readonly expiry: Moment
}

export type Signature =
  | { readonly version: 1; readonly mark: Mark }
  | { readonly version: 2; readonly links: readonly Link[] }

/** Links that fit into a line of 8,192 bytes, the longest that laptops read. */
const mostLinks = 7

const markForm = /^(sha256|sha512|rmd160) ([0-9a-f]{64}|[0-9a-f]{540}) ([0-9a-f]{512})$/
const linkForm = /^(sha256|sha512|rmd160) ([0-9a-f]{64}|[0-9a-f]{540}) (\d{8}T\d{6}Z) ([0-9a-f]{512})$/

/**
 * Reads `sig01: ...` or `sig02: ...`, without a line end.
 * Source: docs/reference/protocols.md: Anti-theft, Lines.
 * @throws Error that says what is wrong with it
 */
export function parseSignature(text: string): Signature {
  const tag = text.slice(0, 7)
  if (tag === 'sig01: ') return { version: 1, mark: parseMark(text.slice(7)) }
  if (tag !== 'sig02: ') throw new Error('has no "sig01:" or "sig02:" where its signature should be')
  const words = text.slice(7).split(' ', mostLinks * 4 + 1)
  if (words.length % 4 !== 0 || words.length > mostLinks * 4)
    throw new Error(`has a sig02 that is not made of 1 to ${mostLinks} links of four words`)
  const links: Link[] = []
  for (let at = 0; at < words.length; at += 4)
    links.push(parseLink(words.slice(at, at + 4).join(' '), at > 0))
  return { version: 2, links }
}

function parseMark(text: string): Mark {
  const [, hash, key, signature] = markForm.exec(text) ?? []
  if (hash === undefined || key === undefined || signature === undefined)
    throw new Error('has a sig01 that is not "hash key signature"')
  return { hash: hash as Hash, key, signature }
}

function parseLink(text: string, mustBeWhole: boolean): Link {
  const [, hash, key, expiry, signature] = linkForm.exec(text) ?? []
  if (hash === undefined || key === undefined || expiry === undefined || signature === undefined)
    throw new Error('has a link that is not "hash key expiry signature"')
  if (!isExpiry(expiry)) throw new Error(`has a link that ends at ${expiry}, which is no time`)
  if (mustBeWhole && key.length !== 540)
    throw new Error('has a link behind the first that does not hold a whole key')
  return { hash: hash as Hash, key, expiry, signature }
}

/** A signature as text, without a line end. */
export function formatSignature(signature: Signature): string {
  if (signature.version === 1) {
    const { hash, key, signature: hex } = signature.mark
    return `sig01: ${hash} ${key} ${hex}`
  }
  const links = signature.links.map((one) => `${one.hash} ${one.key} ${one.expiry} ${one.signature}`)
  return `sig02: ${links.join(' ')}`
}

/** Whether a key made a signature over a payload: RSASSA-PSS, salt of 8 bytes, MGF1 of the same hash. */
export function isSignedBy(key: PublicKey, { hash, signature }: Mark, payload: string | Uint8Array): boolean {
  return verify(
    digests[hash],
    typeof payload === 'string' ? Buffer.from(payload, 'latin1') : payload,
    { key: key.object, ...pss },
    Buffer.from(signature, 'hex'),
  )
}

/** Whether a mark or link names this key, by its id or whole. */
export const isNamed = (mark: Mark, key: PublicKey): boolean =>
  mark.key.length === 64 ? mark.key === key.id : mark.key === key.hex
