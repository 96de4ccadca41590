import { realpath } from 'node:fs/promises'
import { mustBeTrusted } from '../config/trust.js'
import { SystemError, systemCode } from '../errors.js'
import { PlainFile, unreadable } from './plain-file.js'

/** Bytes that a file of keys may have. */
const largestKeyring = 1024 * 1024

const title = 'PGP PUBLIC KEY BLOCK'

/**
 * The public keys whose signatures count, as gpgv wants them: binary, whichever way gpg exported them.
 * @throws SystemError REFUSED when there is no such file, or no public key in it
 * @throws ConfigError CONFIG_UNREADABLE when others could put keys of their own there
 */
export async function readKeyring(path: string): Promise<Buffer> {
  const bytes = await contentOf(path)
  const keys = bytes.includes(`-----BEGIN ${title}-----`) ? dearmored(bytes.toString('latin1')) : bytes
  if (!isKeyring(keys)) throw noKeys(`${path} holds no public keys`, path)
  return keys
}

async function contentOf(path: string): Promise<Buffer> {
  const real = await realpath(path).catch((error: unknown) => {
    if (systemCode(error) !== 'ENOENT') throw unreadable(path, error)
    throw noKeys(`there is no file ${path} of the keys that may sign sticks`, path)
  })
  mustBeTrusted(real)
  const file = await PlainFile.open(real, largestKeyring)
  return file.whole().finally(() => file.close())
}

const noKeys = (what: string, path: string): SystemError =>
  new SystemError('REFUSED', `security is on, and ${what}`, {
    hint: `put the public keys of those who sign sticks there (gpg --export KEY > ${path}), or set security-keys to the file that has them`,
  })

/** What lies in ASCII armor (RFC 4880, 6.2); its checksums are left to gpgv, which finds damage by itself. */
function dearmored(text: string): Buffer {
  const blocks: Buffer[] = []
  let body: string | undefined
  let isHeader = false
  for (const line of text.split('\n').map((one) => one.trimEnd())) {
    if (line === `-----BEGIN ${title}-----`) {
      body = ''
      isHeader = true
    } else if (line === `-----END ${title}-----` && body !== undefined) {
      blocks.push(Buffer.from(body, 'base64'))
      body = undefined
    } else if (body !== undefined) {
      if (isHeader) isHeader = line !== ''
      else if (!line.startsWith('=')) body += line
    }
  }
  return Buffer.concat(blocks)
}

/** Whether it begins with the packet of a public key (RFC 4880, 4.2), or is a keybox of gpg's own. */
function isKeyring(bytes: Buffer): boolean {
  const [first = 0] = bytes
  const tag = (first & 0x40) === 0 ? (first & 0x3c) >> 2 : first & 0x3f
  return ((first & 0x80) !== 0 && tag === 6) || bytes.subarray(8, 12).equals(Buffer.from('KBXf'))
}
