import type { RequestError, StreamShape } from '../../../core/api.js'

/** Who comes over ssh: the key has named the learner already. */
export interface Caller {
  readonly uid: string
  readonly nickname: string
  /** The laptop's network address. */
  readonly address: string
  readonly transport: 'ssh2' | 'sshd'
}

/** What a laptop may do with one command of its own: one `rsync --server`, in one directory. */
export interface Session {
  /** Words that start rsync: programs that set limits and confine it, with their arguments. */
  readonly before: readonly string[]
  /** Arguments of the program rsync. */
  readonly args: readonly string[]
  /** What the client's stream must begin with: no other byte of it may reach rsync before that was judged. */
  readonly shape: StreamShape
  readonly cwd: string
  /** The whole environment. */
  readonly env: Readonly<Record<string, string>>
  /**
   * Aborted when it must end now; the reason is an Error whose message the laptop is told on standard error. End
   * rsync (SIGTERM, then SIGKILL), and call ended() all the same.
   */
  readonly signal: AbortSignal
  /** Ends it because of what its client sent, which is logged; otherwise as by the signal. */
  refuse(reason: RequestError): void
  /** rsync runs. @param pid so that what a crash leaves behind can be found */
  started(pid: number): void
  /**
   * rsync has ended and all its output is on its way. Call it exactly once, also when rsync could not be started.
   * @param code its exit code; null when a signal ended it or it never ran
   * @returns the exit code for the laptop: 0 says that what it sent is kept
   */
  ended(code: number | null): Promise<number>
  /**
   * Once ended() has resolved: why what rsync took is not kept all the same, for the laptop to be told on standard
   * error; undefined where it is, or rsync or the signal's reason says why.
   */
  readonly refusal?: RequestError | undefined
}

/** Where both transports lead. */
export interface Sessions {
  /**
   * Asks for a session; waits for a slot and for other sessions of the same learner if need be.
   * @param command what the laptop asked to run, as it came
   * @param gone aborted when the laptop hangs up: nobody waits any more
   * @throws RequestError whose message and hint the laptop is told on standard error; it exits with `exitCode`
   */
  open(caller: Caller, command: string, gone: AbortSignal): Promise<Session>
}
