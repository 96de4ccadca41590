import {
  type Confinement,
  confinedWords,
  findConfinement,
  limitWords,
  type PaceLimits,
  type Places,
  type ProcessLimits,
  RequestError,
  type RsyncVersion,
  rsyncVersion,
} from '../../../core/api.js'

/** A trial that shows whether rsync runs when it is confined. */
export const rsyncTrial = ['rsync', '--version'] as const

/**
 * For each process of an rsync. A Journal of 400,000 files takes 31 MB of address space, and a processor of 2008 reads
 * 20 MB a second.
 */
const usualLimits: ProcessLimits = { memory: 256 << 20, cpu: 3600 }

const minute = 60_000

/** A laptop on bad Wi-Fi moves 1 KB a second. */
const usualPace: PaceLimits = { idle: 5 * minute, start: 15 * minute, rate: 1000, total: 12 * 60 * minute }

/** How rsync is run for laptops. */
export interface Runner {
  readonly version: RsyncVersion
  readonly confinement: Confinement
  readonly limits: ProcessLimits
  readonly pace: PaceLimits
}

/**
 * @param folder where confinement is tried
 * @throws SystemError when there is no rsync
 */
export async function findRunner(folder: string): Promise<Runner> {
  const [version, confinement] = await Promise.all([rsyncVersion(), findConfinement(folder, rsyncTrial)])
  return { version, confinement, limits: usualLimits, pace: usualPace }
}

/** The words that rsync is started with, in front of its own. */
export const wordsBefore = ({ limits, confinement }: Runner, places: Places): string[] => [
  ...limitWords(limits),
  ...(confinement.layer === 'none' ? [] : confinedWords(places)),
]

/** rsync's exit code for too little memory (rsync(1), EXIT VALUES). */
const tooLittleMemory = 22

/** What confines rsync ends with 128 and the signal that ended rsync, as a shell does. */
const isSignal = (code: number | null): code is null => code === null || code > 128

/**
 * Why rsync reached a limit of this server.
 * @param code rsync's exit code; null when a signal ended it
 * @returns undefined when the code itself says how it ended
 */
export function limitReached(code: number | null): RequestError | undefined {
  if (code === tooLittleMemory) {
    return new RequestError('UNAVAILABLE', 'rsync needed more memory than it may use on the school server', {
      hint: 'tell your teacher: there are too many files for one transfer',
    })
  }
  if (!isSignal(code)) return undefined
  return new RequestError(
    'UNAVAILABLE',
    'rsync was killed on the school server, or took more processor time than it may',
    { hint: 'try again later; if it happens again, tell your teacher' },
  )
}

/** For `status`: what keeps an rsync from the files of others. */
export function confinementLine({ confinement }: Runner): string {
  const rules = 'filter rules that read files are refused'
  return confinement.layer === 'none'
    ? `${rules}, but rsync is not confined: ${confinement.why}; ${confinement.hint}`
    : `${rules}, and ${confinement.layer} confines each rsync to one learner's files`
}
