import { createHash } from 'node:crypto'
import { join } from 'node:path'
import { HomeError } from './errors.js'
import { createFile, readIfThere, replaceFile } from './files.js'
import { generateKey, type KeyType, keyTypeOf, type PublicKey, publicHalf, publicLine } from './keys.js'
import { type Identifiers, identifiers, type MachineOptions } from './machine.js'
import { keyTypesOfSsh } from './ssh/key-types.js'

/** The four strings of a registration, as they go over the wire. */
export interface Registrant extends Identifiers {
  readonly nickname: string
  /** The base64 blob of the public key alone: no `ssh-dss ` before it, no comment after it. */
  readonly pubkey: string
}

/** A learner with a laptop, kept in a home directory. */
export interface Identity extends Registrant {
  readonly home: string
  /** The name of the key's type as OpenSSH writes it, `ssh-dss`. */
  readonly keyName: string
  /** The private key's file, for `ssh -i`. */
  readonly keyFile: string
  readonly uid: string
}

export interface IdentityOptions extends MachineOptions {
  /** The nickname, kept for the next time. */
  readonly nick?: string | undefined
  /**
   * The type of key to make when there is none yet. Not given, it is `dsa`, as Sugar makes to this day, where the ssh of
   * this machine can use it; else `rsa`, as Sugar's next version makes.
   */
  readonly key?: KeyType | undefined
}

/** The learner's id on every service: sha1 over the *text* of the base64 blob, 40 hex digits. */
export function uidOf(pubkey: string): string {
  return createHash('sha1').update(pubkey).digest('hex')
}

function publicHalfOf(file: string, privateKey: string): PublicKey {
  try {
    return publicHalf(privateKey)
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause)
    throw new HomeError(
      `${file} is not a private key that can be read: ${why}`,
      'bring the key back from a copy, or use another --home',
    )
  }
}

async function readKey(file: string, wanted: KeyType | undefined): Promise<PublicKey | undefined> {
  const privateKey = await readIfThere(file)
  const line = await readIfThere(`${file}.pub`)
  if (privateKey === undefined && line === undefined) return undefined
  if (privateKey === undefined) {
    throw new HomeError(
      `${file}.pub is there, but not its private half`,
      `bring ${file} back from a copy, or delete ${file}.pub to become a new learner`,
    )
  }
  const publicKey = publicHalfOf(file, privateKey)
  if (line !== undefined && line.split(/\s+/)[1] !== publicKey.blob) {
    throw new HomeError(
      `${file}.pub does not belong to ${file}`,
      `delete ${file}.pub; it is made again from the private key`,
    )
  }
  if (wanted && wanted !== keyTypeOf(publicKey)) {
    throw new HomeError(
      `${file} is a key of type ${publicKey.name}, not ${wanted}, and a learner keeps the key`,
      'leave out --key, or use another --home for another learner',
    )
  }
  if (line === undefined) await createFile(`${file}.pub`, publicLine(publicKey))
  return publicKey
}

/** The private key goes first: without its public half it can be completed, the other way round not. */
async function makeKey(file: string, type: KeyType): Promise<PublicKey | undefined> {
  const { privateKey, publicKey } = await generateKey(type)
  if (!(await createFile(file, privateKey, 0o600))) return undefined
  await createFile(`${file}.pub`, publicLine(publicKey))
  return publicKey
}

const usualType = async (): Promise<KeyType> => ((await keyTypesOfSsh()).has('ssh-dss') ? 'dsa' : 'rsa')

async function ownerKey(file: string, wanted: KeyType | undefined): Promise<PublicKey> {
  const key =
    (await readKey(file, wanted)) ??
    (await makeKey(file, wanted ?? (await usualType()))) ??
    (await readKey(file, wanted))
  if (!key) throw new HomeError(`${file} comes and goes`, 'let one program at a time change the home')
  return key
}

async function nickname(file: string, wanted: string | undefined): Promise<string> {
  if (wanted === undefined) return (await readIfThere(file))?.replace(/\n$/, '') ?? 'sugaroid'
  await replaceFile(file, `${wanted}\n`)
  return wanted
}

/**
 * Opens the identity kept in `home`, making what is not there yet: `default/owner.key` and `owner.key.pub`
 * where Sugar has them, `nick`, and for an XO `mfg-data`. Existing keys are kept. On a machine that is no XO
 * serial and uuid are new at each opening, as Sugar's are at each registration: open once per registration.
 * Throws a HomeError for keys that cannot be used, and the system's error for files that cannot.
 */
export async function openIdentity(home: string, options: IdentityOptions = {}): Promise<Identity> {
  const keyFile = join(home, 'default', 'owner.key')
  const { name: keyName, blob: pubkey } = await ownerKey(keyFile, options.key)
  return {
    home,
    nickname: await nickname(join(home, 'nick'), options.nick),
    ...(await identifiers(home, options)),
    keyName,
    keyFile,
    pubkey,
    uid: uidOf(pubkey),
  }
}
