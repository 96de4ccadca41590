import { SugarError, SystemError, systemCode } from '../../../core/api.js'
import type { Ended } from './program.js'

/** What is wrong when a program that writes has failed. @param where the directory that it wrote */
export function unwritten(where: string, { said, code }: Ended): SystemError {
  // What tar says of a file that was written in part.
  if (/No space left|quota exceeded|Wrote only \d+ of \d+ bytes/i.test(said)) return noRoom(where)
  return notWritable(where, said === '' ? `its program ended with ${code}` : said)
}

/** What failed on the disk, in words; what says by itself what it is stays as it is. */
export function explained(error: unknown, where: string): unknown {
  const code = systemCode(error)
  if (error instanceof SugarError || code === undefined || !/^E[A-Z0-9]+$/.test(code)) return error
  return code === 'ENOSPC' || code === 'EDQUOT' ? noRoom(where, error) : notWritable(where, code, error)
}

const noRoom = (where: string, cause?: unknown): SystemError =>
  new SystemError('NO_SPACE', `there is no room to write ${where}`, {
    hint: 'withdraw a build, or have rsync-root on a larger disk',
    cause,
  })

const notWritable = (where: string, why: string, cause?: unknown): SystemError =>
  new SystemError('NOT_WRITABLE', `${where} cannot be written: ${why}`, {
    hint: 'see that its disk is well and that the user of this server may write there',
    cause,
  })
