import type { Build, Builds } from '../../rsync/public.js'

/** Where builds may be had. */
export interface Source {
  /** For people and logs: without passwords. */
  readonly shown: string
  /**
   * Looks for a build.
   * @returns undefined when the source has none of this name
   * @throws RequestError saying why the source cannot be used
   */
  find(name: string, signal: AbortSignal): Promise<Offer | undefined>
}

/** A build that a source has. */
export interface Offer {
  /**
   * Brings the build here and publishes it. When that fails, what has come stays for the next time if the fault is one
   * that passes; whatever else has come goes.
   * @throws RequestError whose text the client's user reads
   */
  bring(site: Site): Promise<Build>
}

/** Where a build is brought to. */
export interface Site {
  readonly name: string
  /** Of this build's own; it exists, and is kept across restarts. */
  readonly folder: string
  readonly builds: Builds
  readonly signal: AbortSignal
  /** Called now and then. @param total undefined where nobody knows */
  progress(bytes: number, total: number | undefined): void
  /** What is read is there: from now on it is unpacked. @param bytes that are unpacked by now */
  unpacking(bytes: number): void
  /**
   * Sees that so many bytes fit, and keeps the room for this build; where they do not, what nobody has used for long is
   * removed. Called again when more is known.
   * @param packed bytes that are still to come, and go when they are unpacked
   * @param here bytes of the unpacked ones that are on the disk already
   * @throws RequestError NO_SPACE
   */
  makeRoom(packed: number, unpacked: number, here?: number): Promise<void>
  /** Bytes that fit on the disk at the moment. */
  spare(): Promise<number>
  /** A line for whoever waits. */
  note(line: string): void
}

/** How long a source is waited for. Milliseconds. */
export interface Patience {
  /** Without an answer, or with next to nothing of it arriving. */
  readonly idle: number
  /** Before the second try, the third, and so on; their number is that of the tries that may fail. */
  readonly pauses: readonly number[]
}

export const patience: Patience = { idle: 60_000, pauses: [2_000, 5_000, 15_000, 45_000] }
