import { createVerify, type Verify } from 'node:crypto'
import { linkPayload } from '../wire/payload.js'
import { digests, type Hash, parseSignature, pss, type Signature } from '../wire/signature.js'
import { follow } from './chain.js'
import { accepted, endOf } from './signed.js'
import { invalid, type Question, type Verdict } from './verdict.js'

export interface DataQuestion extends Question {
  /** The laptop; a sig02 cannot be checked without it. */
  readonly serial?: string | undefined
}

/** A signature over data that passes by once, in pieces. */
export class DataSignature {
  readonly #signature: Signature
  readonly #question: DataQuestion
  /** Of the mark over the data itself. */
  readonly #hash: Hash
  readonly #verify: Verify | undefined

  /** @param text without its line end @throws Error whose message is a clause about it */
  constructor(text: string, question: DataQuestion) {
    const signature = parseSignature(text)
    const link = signature.version === 2 ? signature.links.at(-1) : undefined
    this.#signature = signature
    this.#question = question
    this.#hash = (signature.version === 2 ? link?.hash : signature.mark.hash) ?? 'sha256'
    this.#verify = verifierOf(this.#hash)
    if (link !== undefined) this.#verify?.update(linkPayload(question.serial ?? '', link.expiry, ''))
  }

  update(piece: Uint8Array): void {
    this.#verify?.update(piece)
  }

  /** Once all has passed. @param hashes that the reader of this data takes */
  verdict(hashes: readonly Hash[]): Verdict {
    const { serial } = this.#question
    const hash = this.#hash
    const verify = this.#verify
    if (!hashes.includes(hash))
      return invalid(`is signed with ${hash}, where laptops want ${hashes.join(' or ')}`)
    if (serial === undefined && this.#signature.version === 2)
      return { verdict: 'valid', reason: 'has a sig02', unchecked: 'no serial to check it with' }
    if (verify === undefined)
      return {
        verdict: 'valid',
        reason: `is signed with ${hash}`,
        unchecked: `no ${hash} in the OpenSSL of this system`,
      }
    const outcome = follow(this.#signature, {
      ...this.#question,
      serial: serial ?? '',
      // Links of one signature have one hash, so a hash that was broken lets nobody in by the side door.
      hashes: [hash],
      seal: (key, { signature }) => verify.verify({ key: key.object, ...pss }, Buffer.from(signature, 'hex')),
    })
    return 'fault' in outcome ? invalid(outcome.fault) : accepted(outcome.keys, endOf(this.#signature))
  }
}

/** Systems switch hashes off that they take for weak. */
function verifierOf(hash: Hash): Verify | undefined {
  try {
    return createVerify(digests[hash])
  } catch {
    return undefined
  }
}
