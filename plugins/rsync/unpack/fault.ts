import { diskError, diskFaultIn, SystemError, unwritten as unwrittenIn } from '../../../core/api.js'
import type { Ended } from './program.js'

const full = 'withdraw a build, or have rsync-root on a larger disk'
const denied = 'see that its disk is well and that the user of this server may write there'

/** What is wrong when a program that writes has failed. @param where the directory that it wrote */
export function unwritten(where: string, { said, code }: Ended): SystemError {
  // What tar says of a file that was written in part.
  const fault = diskFaultIn(said) ?? (/Wrote only \d+ of \d+ bytes/.test(said) ? 'full' : undefined)
  if (fault !== undefined) return diskError(where, fault, { full })
  const why = said === '' ? `its program ended with ${code}` : said
  return new SystemError('NOT_WRITABLE', `${where} cannot be written: ${why}`, { hint: denied })
}

/** What failed on the disk, in words; what says by itself what it is stays as it is. */
export const explained = (error: unknown, where: string): unknown =>
  unwrittenIn(where, error, { full, denied })
