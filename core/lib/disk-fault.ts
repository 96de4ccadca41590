import { SugarError, SystemError, systemCode } from '../errors.js'

/**
 * Why a disk did not take a write:
 * - full: no blocks or inodes are left, or a quota is used up; it passes when there is room
 * - failing: the device or the file system reports errors; the data must be copied off first
 * - read-only: the file system is mounted so, often by the kernel after an error
 */
export type DiskFault = 'full' | 'failing' | 'read-only'

// errno(3), by the names that libuv gives, or by the number where it has no name for one: EUCLEAN is what ext4 and
// xfs say of their own damage.
const byCode: Readonly<Record<string, DiskFault>> = {
  ENOSPC: 'full',
  EDQUOT: 'full',
  'Unknown system error -122': 'full',
  EIO: 'failing',
  ENXIO: 'failing',
  ENODEV: 'failing',
  EUCLEAN: 'failing',
  'Unknown system error -117': 'failing',
  EBADMSG: 'failing',
  'Unknown system error -74': 'failing',
  EROFS: 'read-only',
}

// strerror(3) with LC_ALL=C, as tar, sync and rsync print it.
const byWords: readonly (readonly [words: RegExp, fault: DiskFault])[] = [
  [/Input\/output error|Structure needs cleaning|No such device|Bad message/i, 'failing'],
  [/No space left on device|No space left|quota exceeded/i, 'full'],
  [/Read-only file system/i, 'read-only'],
]

/** What is wrong with the disk, by an error or by its cause; undefined when neither says anything of the disk. */
export function diskFault(thrown: unknown): DiskFault | undefined {
  if (!(thrown instanceof SugarError)) return byCode[systemCode(thrown) ?? '']
  if (thrown.code === 'NO_SPACE') return 'full'
  if (thrown.code === 'DISK_FAILING') return 'failing'
  return thrown.cause === undefined ? undefined : diskFault(thrown.cause)
}

/** What is wrong with the disk, by what a program printed in the C locale. */
export const diskFaultIn = (printed: string): DiskFault | undefined =>
  byWords.find(([words]) => words.test(printed))?.[1]

/** Whether a write failed for want of room. */
export const isFull = (thrown: unknown): boolean => diskFault(thrown) === 'full'

export interface WriteHints {
  /** What to do when the disk is full. */
  readonly full?: string
  /** What to do when this user may not write there. */
  readonly denied?: string
}

/** The error of a write that failed for this reason, with the next step. @param code of the system, where it is known */
export function diskError(
  path: string,
  fault: DiskFault,
  { code, full = 'make room on its disk', cause }: { code?: string; full?: string; cause?: unknown } = {},
): SystemError {
  const brackets = code === undefined ? '' : ` (${code})`
  if (fault === 'full')
    return new SystemError('NO_SPACE', `there is no room to write ${path}${brackets}`, {
      hint: full,
      cause,
    })
  if (fault === 'failing')
    return new SystemError('DISK_FAILING', `${path} cannot be used: the disk is failing${brackets}`, {
      hint: failingHint,
      cause,
    })
  return new SystemError(
    'NOT_WRITABLE',
    `${path} cannot be written: its file system is read-only${brackets}`,
    {
      hint: 'see dmesg: the kernel makes a disk with errors read-only. Copy the data off first; else mount it for writing',
      cause,
    },
  )
}

/** The next step when a disk is failing. */
export const failingHint = 'see dmesg; copy the data off this disk first, then replace it'

/**
 * A failed write as an error with advice.
 * @returns SystemError NO_SPACE, DISK_FAILING or NOT_WRITABLE; what is not an error of the system, as it is
 */
export function unwritten(path: string, thrown: unknown, { full, denied }: WriteHints = {}): unknown {
  const code = systemCode(thrown)
  if (thrown instanceof SugarError || code === undefined) return thrown
  const fault = byCode[code]
  if (fault !== undefined) return diskError(path, fault, { code, cause: thrown, ...(full && { full }) })
  if (!/^E[A-Z0-9]+$/.test(code)) return thrown
  return new SystemError('NOT_WRITABLE', `${path} cannot be written (${code})`, {
    hint: denied ?? 'see that the user of this server may write there',
    cause: thrown,
  })
}
