import { constants, createPrivateKey, sign } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { type AntitheftKey, type LockedLaptop, readAntitheftKey } from '../../../sugaroid/index.js'

const folder = join(process.cwd(), 'test', 'vectors', 'bios-crypto')

export const vectorPath = (name: string): string => join(folder, name)

export const vector = (name: string): Buffer => readFileSync(vectorPath(name))

/** Of a JSON file of the vectors, in the shape the caller knows it to have. */
export const cases = <T>(name: string): T => JSON.parse(vector(name).toString())

export function publicKey(name: string): AntitheftKey {
  const key = readAntitheftKey(vector(`keys/${name}.public`))
  if (!key) throw new Error(`no key ${name}`)
  return key
}

export const publicKeys = (names: readonly string[]): AntitheftKey[] => names.map(publicKey)

export const serial = 'SHC94700123'
export const uuid = '8BF9AC40-26F8-4BCC-A699-BE51FD366419'
export const now = '20270101T000000Z'

/** The laptop of most vectors, which knows these keys. */
export const laptop = (...names: string[]): LockedLaptop => ({ serial, uuid, keys: publicKeys(names), now })

export interface How {
  /** As a line names it. */
  readonly hash?: string
  readonly saltLength?: number
}

/** Signs as bios-crypto does, with a key of the vectors; 512 hex digits. */
export function signed(by: string, content: string | Buffer, { hash = 'sha256', saltLength = 8 }: How = {}) {
  const key = createPrivateKey({ key: vector(`keys/${by}.private`), format: 'der', type: 'pkcs1' })
  const digest = hash === 'rmd160' ? 'ripemd160' : hash
  const padding = constants.RSA_PKCS1_PSS_PADDING
  return sign(digest, Buffer.from(content), { key, padding, saltLength }).toString('hex')
}

/** A sig01 line, its LF included. */
export function sig01(by: string, content: string | Buffer, how: How = {}): string {
  return `sig01: ${how.hash ?? 'sha256'} ${publicKey(by).id} ${signed(by, content, how)}\n`
}

/** A sig02 line, its LF included: each key delegates to the next, and the last signs `content`. */
export function sig02(
  chain: readonly (readonly [by: string, expiry: string])[],
  content: string,
  sn = serial,
) {
  const links = chain.map(([by, expiry], at) => {
    const next = chain[at + 1]
    const what = next ? `key01: ${publicKey(next[0]).hex}\n` : content
    const { id, hex } = publicKey(by)
    return `sha256 ${at === 0 ? id : hex} ${expiry} ${signed(by, `${sn}:${expiry}:${what}`)}`
  })
  return `sig02: ${links.join(' ')}\n`
}
