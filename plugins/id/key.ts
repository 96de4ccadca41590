import { createHash, ECDH } from 'node:crypto'
import { RequestError } from '../../core/api.js'

/** A laptop's public key, taken apart and put together anew. */
export interface PublicKey {
  /** `ssh-dss`, `ssh-rsa`, `ssh-ed25519`, `ecdsa-sha2-nistp256` and its larger kin. */
  type: string
  /** The key as base64, as it stands in `owner.key.pub`. */
  blob: string
  /** Identity of the learner: sha1 of the base64 text, 40 hex digits (docs/reference/protocols.md: registration, Identity). */
  uid: string
}

const longestText = 8192
const refuse = (message: string): RequestError =>
  new RequestError('REQUEST_INVALID', `public key: ${message}`)

/**
 * Reads a public key as laptops send it: base64 alone (XML-RPC), or with its type in front and a comment behind
 * (`owner.key.pub`). The type is read from inside; options of authorized_keys, certificates and a second line are
 * refused, so that what is kept can stand on one line of any file.
 * @throws RequestError that says what is wrong
 */
export function parsePublicKey(text: string): PublicKey {
  if (text.length > longestText) throw refuse('it is too long')
  const words = text.trim().split(/[ \t]+/)
  const [first = '', second] = words
  const said = kinds.has(first) ? first : undefined
  const blob = said === undefined ? first : (second ?? '')
  if (/[\r\n\0]/.test(text.trim())) throw refuse('it must be one line')
  if (blob === '') throw refuse('it is empty')
  const bytes = Buffer.from(blob, 'base64')
  // Node reads base64 leniently; only the usual form gives the same identity everywhere.
  if (bytes.toString('base64') !== blob)
    throw refuse('it is not base64; send the second word of owner.key.pub')
  const type = checkBlob(bytes)
  if (said !== undefined && said !== type) throw refuse(`it says ${said} but is ${type}`)
  return { type, blob, uid: uidOf(blob) }
}

/** @param blob base64 text of a key */
export const uidOf = (blob: string): string => createHash('sha1').update(blob).digest('hex')

/** Reads the fields of a key's type and says what is wrong with them. */
type Kind = (fields: Fields) => string | undefined

const bitsBetween = (name: string, bits: number, least: number, most: number): string | undefined =>
  bits >= least && bits <= most ? undefined : `its ${name} has ${bits} bits, not ${least} to ${most}`

const ecdsa =
  (curve: string, openssl: string): Kind =>
  (fields) => {
    if (fields.bytes().toString('latin1') !== curve) return 'its curve does not fit its type'
    const point = fields.bytes()
    // Node knows compressed points and the one at infinity too; OpenSSH takes neither.
    if (point[0] !== 4) return 'its point is not written in full'
    try {
      ECDH.convertKey(point, openssl)
      return undefined
    } catch {
      return 'its point is not on the curve'
    }
  }

/** The types that Sugar has made or may make. */
const kinds = new Map<string, Kind>([
  [
    'ssh-dss',
    (fields) => {
      const [p, q, g, y] = [fields.integer(), fields.integer(), fields.integer(), fields.integer()]
      if (g === 0 || y === 0) return 'it is empty'
      return bitsBetween('modulus', p, 1024, 3072) ?? bitsBetween('subgroup', q, 160, 256)
    },
  ],
  [
    'ssh-rsa',
    (fields) => {
      const [e, n] = [fields.integer(), fields.integer()]
      return bitsBetween('exponent', e, 2, 64) ?? bitsBetween('modulus', n, 1024, 8192)
    },
  ],
  ['ssh-ed25519', (fields) => (fields.bytes().length === 32 ? undefined : 'it does not have 32 bytes')],
  ['ecdsa-sha2-nistp256', ecdsa('nistp256', 'prime256v1')],
  ['ecdsa-sha2-nistp384', ecdsa('nistp384', 'secp384r1')],
  ['ecdsa-sha2-nistp521', ecdsa('nistp521', 'secp521r1')],
])

/** @returns the type that the blob names (RFC 4253, 6.6; RFC 5656; RFC 8709) */
function checkBlob(blob: Buffer): string {
  const fields = new Fields(blob)
  const type = fields.bytes().toString('latin1')
  const kind = kinds.get(type)
  if (kind === undefined) throw refuse(`its type is none of ${[...kinds.keys()].join(', ')}`)
  const wrong = kind(fields)
  if (wrong !== undefined) throw refuse(wrong)
  if (!fields.ended) throw refuse('something follows behind it')
  return type
}

/** The length-prefixed fields of an SSH key. */
class Fields {
  #rest: Buffer

  constructor(blob: Buffer) {
    this.#rest = blob
  }

  get ended(): boolean {
    return this.#rest.length === 0
  }

  bytes(): Buffer {
    const length = this.#rest.length < 4 ? Number.POSITIVE_INFINITY : this.#rest.readUInt32BE(0)
    if (length > this.#rest.length - 4) throw refuse('it is cut off')
    const field = this.#rest.subarray(4, 4 + length)
    this.#rest = this.#rest.subarray(4 + length)
    return field
  }

  /** @returns the bits of a positive integer in its shortest form */
  integer(): number {
    const field = this.bytes()
    const [first = 0, second = 0] = field
    if (first >= 0x80) throw refuse('a number in it is negative')
    if (field.length > 1 && first === 0 && second < 0x80)
      throw refuse('a number in it is not in its shortest form')
    const digits = first === 0 ? field.subarray(1) : field
    return digits.length === 0 ? 0 : digits.length * 8 - Math.clz32(digits[0] ?? 0) + 24
  }
}
