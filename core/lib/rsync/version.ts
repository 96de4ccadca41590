import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { SystemError } from '../../errors.js'

/** What an rsync can do. */
export interface RsyncVersion {
  /** `3.5.0` is [3, 5, 0]. */
  readonly version: readonly [number, number, number]
  /** The newest protocol that it speaks. */
  readonly protocol: number
}

/** Milliseconds for rsync to print its version. */
const patience = 10_000

/** Reads what `rsync --version` prints. @returns undefined when it is not what rsync prints */
export function parseRsyncVersion(text: string): RsyncVersion | undefined {
  const found =
    /^rsync\s+version v?(\d{1,3})\.(\d{1,3})(?:\.(\d{1,3}))?\S*\s+protocol version (\d{1,3})$/m.exec(text)
  if (found === null) return undefined
  const [major = 0, minor = 0, patch = 0, protocol = 0] = found.slice(1).map((digits) => Number(digits ?? 0))
  return { version: [major, minor, patch], protocol }
}

/** Asks the rsync of this machine. @throws SystemError PROGRAM_MISSING or UNAVAILABLE */
export async function rsyncVersion(): Promise<RsyncVersion> {
  const options = {
    timeout: patience,
    killSignal: 'SIGKILL',
    env: { PATH: process.env.PATH, LC_ALL: 'C' },
  } as const
  const { stdout } = await promisify(execFile)('rsync', ['--version'], options).catch((cause: unknown) => {
    throw new SystemError('PROGRAM_MISSING', 'rsync cannot be run', {
      hint: 'install the package rsync',
      cause,
    })
  })
  const found = parseRsyncVersion(stdout)
  if (found !== undefined) return found
  throw new SystemError('UNAVAILABLE', 'the version of rsync is unknown', {
    hint: 'see whether "rsync --version" works',
  })
}
