import { constants, type KeyObject, verify } from 'node:crypto'
import type { Link, SignatureLine } from './link.js'
import type { Signee } from './locked-laptop.js'
import { earlier, isOver, type Moment, never } from './moment.js'
import { type AntitheftKey, key01, keyOfHex } from './public-key.js'
import { invalid, noMatch, type Verdict } from './verdict.js'

/** The hashes that lines name, and what OpenSSL calls them. */
const hashes: Readonly<Record<string, string>> = { sha256: 'sha256', rmd160: 'ripemd160', sha512: 'sha512' }

/** Pinned: signatures with salts of any other length are refused, as laptops do. */
const saltLength = 8

function fits(digest: string, key: KeyObject, signature: Buffer, signed: Buffer): boolean {
  return verify(digest, signed, { key, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength }, signature)
}

/** What keeps a link from holding, as a predicate of the link; undefined when it holds. */
function fault({ hash, signature }: Link, key: AntitheftKey, signed: Buffer): string | undefined {
  const digest = Object.hasOwn(hashes, hash) ? hashes[hash] : undefined
  if (digest === undefined) return `names the hash ${hash}, which laptops do not know`
  try {
    if (fits(digest, key.object, Buffer.from(signature, 'hex'), signed)) return undefined
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error)
    return `cannot be checked with ${hash} here: OpenSSL says '${why}'`
  }
  return `does not fit: this is not what the key ${key.id} signed for this laptop`
}

function summary(first: AntitheftKey, links: number): string {
  const delegations = links === 2 ? 'a delegation' : `${links - 1} delegations`
  return links === 1
    ? `signed with the key ${first.id}`
    : `signed through ${delegations} of the key ${first.id}`
}

/**
 * Walks a signature line from a key that the laptop knows to the last link, which must have signed `payload`;
 * each link before it must have signed the key of the next. Facts: docs/reference/protocols.md: Anti-theft, What is
 * signed. The verdict `no-match` means that the laptop does not know the first key.
 * @param payload the signed bytes, without the `SN:LINKEXP:` that a sig02 puts in front
 */
export function checkSignature({ links }: SignatureLine, payload: Buffer, laptop: Signee): Verdict {
  const [{ key: named }] = links
  const first = laptop.keys.find(({ id, hex }) => named === id || named === hex)
  if (!first) return noMatch(`the laptop does not know the key ${named.slice(-64)}`)
  let key = first
  let expiry: Moment = never
  for (const [at, link] of links.entries()) {
    const place = links.length === 1 ? 'the signature' : `link ${at + 1} of ${links.length}`
    const next = links[at + 1]
    if (link.expiry !== undefined && isOver(link.expiry, laptop.now)) {
      return invalid(`${place} ran out at ${link.expiry}, and it is ${laptop.now}`)
    }
    const front = link.expiry === undefined ? '' : `${laptop.serial}:${link.expiry}:`
    const content = next ? Buffer.from(key01(next.key)) : payload
    const why = fault(link, key, Buffer.concat([Buffer.from(front), content]))
    if (why !== undefined) return invalid(`${place} ${why}`)
    const delegate = next ? keyOfHex(next.key) : key
    if (!delegate) return invalid(`${place} delegates to something that is no RSA key of 2048 bits`)
    key = delegate
    expiry = earlier(expiry, link.expiry ?? never)
  }
  return { verdict: 'valid', reason: summary(first, links.length), expiry }
}
