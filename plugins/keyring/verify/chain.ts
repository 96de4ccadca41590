/**
 * Signatures as a laptop's firmware follows them, link by link.
 * Source: docs/reference/protocols.md: Anti-theft, What is signed.
 */
import { PublicKey } from '../wire/key.js'
import { delegationPayload, linkPayload } from '../wire/payload.js'
import { type Hash, isNamed, isSignedBy, type Link, type Mark, type Signature } from '../wire/signature.js'
import { overSince, type Question, short } from './verdict.js'

/** Whether a key made a mark over the thing itself, with a text in front of it. */
export type Seal = (key: PublicKey, mark: Mark, before: string) => boolean

export interface Pursuit extends Question {
  /** The laptop: a sig02 holds for one alone. */
  readonly serial: string
  /** Not given, what the last key signed is not looked at. */
  readonly seal?: Seal | undefined
  /** What the reader of this record knows; sha256, if not said. */
  readonly hashes?: readonly Hash[]
}

/** Through which keys a signature goes, or why it does not hold. */
export type Outcome = { readonly keys: readonly string[] } | { readonly fault: string }

const signerForm = /^sig0[12]: [^ ]* ([0-9a-f]*)(?= |$)/

/** The trusted key that a signature's text names first; whether the rest of it has a form is not known yet. */
export function signerOf(text: string, trusted: readonly PublicKey[]): PublicKey | undefined {
  const name = signerForm.exec(text)?.[1]
  return trusted.find(({ id, hex }) => name === id || name === hex)
}

/** Why signerOf() finds nobody. */
export function strangerIn(text: string): string {
  const name = signerForm.exec(text)?.[1] ?? ''
  return name.length === 64 || name.length === 540
    ? `is signed by ${short(name.slice(-64))}, which is no trusted key`
    : 'has no "sig01:" or "sig02:" with the name of a key'
}

/** Follows a signature from a trusted key to what it stands under. */
export function follow(signature: Signature, pursuit: Pursuit): Outcome {
  const first = signature.version === 1 ? signature.mark : signature.links[0]
  const root = pursuit.trusted.find((key) => first !== undefined && isNamed(first, key))
  if (root === undefined) return { fault: 'is signed by no trusted key' }
  if (signature.version === 2) return followLinks(signature.links, root, pursuit)
  const { mark } = signature
  const fault = unknownHash(mark, pursuit) ?? brokenSeal(root, mark, '', pursuit)
  return fault === undefined ? { keys: [root.id] } : { fault }
}

function followLinks(links: readonly Link[], root: PublicKey, pursuit: Pursuit): Outcome {
  const { serial, at } = pursuit
  const keys: string[] = []
  let key: PublicKey | undefined = root
  for (const [index, link] of links.entries()) {
    const wrong = (what: string): Outcome => ({
      fault: `has a link, ${index + 1} of ${links.length}, that ${what}`,
    })
    const fault = unknownHash(link, pursuit) ?? overSince(link.expiry, at)
    if (fault !== undefined) return wrong(fault)
    keys.push(key.id)
    const next = links[index + 1]
    if (next === undefined) {
      const broken = brokenSeal(key, link, linkPayload(serial, link.expiry, ''), pursuit)
      return broken === undefined ? { keys } : wrong(broken)
    }
    const heir = wholeKey(next)
    if (heir === undefined || !isSignedBy(key, link, delegationPayload(serial, link.expiry, heir)))
      return wrong(`does not let the next key sign for ${serial}`)
    key = heir
  }
  return { keys }
}

function unknownHash({ hash }: Mark, { hashes = ['sha256'] }: Pursuit): string | undefined {
  return hashes.includes(hash)
    ? undefined
    : `is signed with ${hash}, where laptops want ${hashes.join(' or ')}`
}

function brokenSeal(key: PublicKey, mark: Mark, before: string, { seal }: Pursuit): string | undefined {
  return seal === undefined || seal(key, mark, before) ? undefined : `is not what ${short(key.id)} signed`
}

function wholeKey({ key }: Mark): PublicKey | undefined {
  try {
    return PublicKey.fromHex(key)
  } catch {
    return undefined
  }
}
