import { constants } from 'node:fs'
import { open } from 'node:fs/promises'
import { SystemError, systemCode } from '../../../core/api.js'

const most = 4096
const fewest = 8

/**
 * Reads the passphrase under which private keys are kept: one line of 8 characters or more, in a file that nobody but
 * its owner can read.
 * @returns a buffer for the caller to wipe
 * @throws SystemError CONFIG_INVALID, NOT_FOUND; its message holds nothing of the content
 */
export async function readPassphrase(path: string): Promise<Buffer> {
  // Not waiting for whoever should write into a pipe.
  const file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK).catch((cause: unknown) => {
    throw new SystemError(
      'NOT_FOUND',
      `keyring-passphrase-file: ${path} cannot be read (${systemCode(cause)})`,
      {
        hint: 'name a file that the user of this server can read',
        cause,
      },
    )
  })
  const bytes = Buffer.alloc(most + 1)
  try {
    const stats = await file.stat()
    if (!stats.isFile()) throw unfit(path, 'is no regular file', 'name a file with one line of text')
    if ((stats.mode & 0o077) !== 0)
      throw unfit(path, 'can be read by other users', `protect it: chmod 600 ${path}`)
    const me = process.geteuid?.() ?? stats.uid
    if (stats.uid !== me && stats.uid !== 0)
      throw unfit(
        path,
        `belongs to another user (uid ${stats.uid})`,
        `give it to this user: chown ${me} ${path}`,
      )
    const { bytesRead } = await file.read(bytes, 0, bytes.length, 0)
    return lineOf(path, bytes.subarray(0, bytesRead))
  } finally {
    bytes.fill(0)
    await file.close()
  }
}

function lineOf(path: string, bytes: Buffer): Buffer {
  const write = 'write one line of text into it'
  if (bytes.length > most) throw unfit(path, `is longer than ${most} bytes`, write)
  let end = bytes.length
  if (bytes[end - 1] === 0x0a) end -= 1
  if (bytes[end - 1] === 0x0d) end -= 1
  const line = bytes.subarray(0, end)
  if (line.some((byte) => byte === 0x0a || byte === 0x0d || byte === 0))
    throw unfit(path, 'holds more than one line', write)
  // Bytes of UTF-8 that begin a character: the passphrase never becomes a string, which nobody could wipe.
  const characters = line.reduce((count, byte) => ((byte & 0xc0) === 0x80 ? count : count + 1), 0)
  if (characters < fewest)
    throw unfit(path, `holds a passphrase of fewer than ${fewest} characters`, 'choose a longer one')
  return Buffer.from(line)
}

const unfit = (path: string, what: string, hint: string): SystemError =>
  new SystemError('CONFIG_INVALID', `keyring-passphrase-file: ${path} ${what}`, { hint })
