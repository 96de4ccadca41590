import { SystemError, writeFileAtomic } from '../../../../core/api.js'

export interface AuthorizedKey {
  /** Absolute path of sugar-server. */
  readonly program: string
  readonly root: string
  /** 40 hex digits. */
  readonly uid: string
  /** `TYPE BLOB`, as registration keeps it. */
  readonly pubkey: string
}

const uidForm = /^[0-9a-f]{40}$/
const keyForm =
  /^(ssh-dss|ssh-rsa|ssh-ed25519|ecdsa-sha2-nistp(?:256|384|521)) ([A-Za-z0-9+/]{16,8192}={0,2})$/

/** Whether a text is `TYPE BLOB` and no more, its type the one inside. */
export function isPublicKey(text: string): boolean {
  const [, type = '', blob = ''] = keyForm.exec(text) ?? []
  const bytes = Buffer.from(blob, 'base64')
  const length = bytes.length < 4 ? 0 : bytes.readUInt32BE(0)
  return type !== '' && bytes.subarray(4, 4 + length).toString('latin1') === type
}

/**
 * A line of authorized_keys: this key may talk to the door and to nothing else (docs/reference/protocols.md: backup,
 * The transfer).
 * @throws TypeError when uid or key are not what they must be: a line made of them could let anybody in
 * @throws SystemError NOT_WRITABLE when a path cannot stand in such a line
 */
export function authorizedKeysLine({ program, root, uid, pubkey }: AuthorizedKey): string {
  if (!uidForm.test(uid)) throw new TypeError('not a uid')
  if (!isPublicKey(pubkey)) throw new TypeError('not a public key')
  return `restrict,command="${word(program)} backup door --root ${word(root)} ${uid}" ${pubkey}`
}

/** A path as one word of the shell that sshd gives the command to. */
function word(path: string): string {
  if (/^[A-Za-z0-9_./:@%+,=-]+$/.test(path)) return path
  // Between the two kinds of quotes, sshd's and the shell's, nothing else is special.
  if (/^[^'"\\\x00-\x1f\x7f]+$/.test(path)) return `'${path}'`
  throw new SystemError('NOT_WRITABLE', `the path ${path} cannot stand in authorized_keys`, {
    hint: 'choose a path without quotes and backslashes',
  })
}

/** Writes authorized_keys whole, for this user alone: the old file or the new one, never half of one. */
export async function writeAuthorizedKeys(path: string, lines: Iterable<string>): Promise<void> {
  await writeFileAtomic(path, [...lines].map((line) => `${line}\n`).join(''))
}
