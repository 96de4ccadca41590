import { constants, createPrivateKey, type KeyObject, sign } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { PublicKey } from '../../../plugins/keyring/wire/key.js'
import { digests, type Hash, saltLength } from '../../../plugins/keyring/wire/signature.js'

/** What the real tools made; its README.md says what each file is. */
export const folder = join(process.cwd(), 'test', 'vectors', 'bios-crypto')

export const pathOf = (path: string): string => join(folder, path)

/** A vector, a character for each byte. */
export const vector = (path: string): string => readFileSync(pathOf(path), 'latin1')

export const publicKey = (name: string): PublicKey =>
  PublicKey.parse(readFileSync(pathOf(`keys/${name}.public`)))

const privateKeys = new Map<string, KeyObject>()

function privateKey(name: string): KeyObject {
  const key =
    privateKeys.get(name) ??
    createPrivateKey({ key: readFileSync(pathOf(`keys/${name}.private`)), format: 'der', type: 'pkcs1' })
  privateKeys.set(name, key)
  return key
}

/** A signature in hex, as the tools make it. */
export function signed(name: string, payload: string | Uint8Array, hash: Hash = 'sha256'): string {
  const bytes = typeof payload === 'string' ? Buffer.from(payload, 'latin1') : payload
  const key = { key: privateKey(name), padding: constants.RSA_PKCS1_PSS_PADDING, saltLength }
  return sign(digests[hash], bytes, key).toString('hex')
}

export const sig01 = (name: string, payload: string | Uint8Array, hash: Hash = 'sha256'): string =>
  `sig01: ${hash} ${publicKey(name).id} ${signed(name, payload, hash)}`

/** One link of a sig02 over a payload, which gets `SERIAL:EXPIRY:` in front. */
export function link(
  name: string,
  { serial, expiry, payload, whole = false, hash = 'sha256' as Hash }: LinkParts,
): string {
  const { hex, id } = publicKey(name)
  return `${hash} ${whole ? hex : id} ${expiry} ${signed(name, `${serial}:${expiry}:${payload}`, hash)}`
}

interface LinkParts {
  serial: string
  expiry: string
  payload: string
  /** Named by the whole key rather than its id. */
  whole?: boolean
  hash?: Hash
}

/** The laptop that most of the vectors are for. */
export const ana = { serial: 'SHC94700123', uuid: '8BF9AC40-26F8-4BCC-A699-BE51FD366419' }
export const others = [
  { serial: 'CSN74805706', uuid: '1273E0EC-AEF1-9FF6-45B2-FB706DC24B8D' },
  { serial: 'SHF80600A54', uuid: '0E1F2D3C-4B5A-6978-8796-A5B4C3D2E1F0' },
]

/** A lease of the tools' form by any key. */
export const lease = (
  name: string,
  { serial = ana.serial, uuid = ana.uuid, expiry = '20300101T000000Z', hash = 'sha256' as Hash } = {},
): string => `act01: ${serial} K ${expiry} ${sig01(name, `${serial}:${uuid}:K:${expiry}`, hash)}`

interface Case {
  id?: string
  kind?: 'lease' | 'devkey' | 'rtc'
  file: string
  trusted: string[]
  serial: string
  uuid?: string
  now: string
  nonce?: string
  /** Key that a delegation is for. */
  target?: string
  expect: 'valid' | 'invalid' | 'no-match'
  why?: string
}

export const cases = JSON.parse(vector('cases.json')) as (Case & { id: string; uuid: string })[]
export const otherCases = JSON.parse(vector('cases-other.json')) as {
  oats: (Case & { nonce: string })[]
  delegations: (Case & { target: string })[]
}
