/** What other plugins may use of rsync. */
import { news, token } from '../../core/api.js'

/** A directory that laptops may fetch, under a name of its own. */
export interface Module {
  /** What a client writes behind the host: `build-885`, `xo-activities`. See `moduleName`. */
  readonly name: string
  /** Absolute. */
  readonly path: string
  /** Shown beside the name when modules are listed; one line. */
  readonly comment: string
  /**
   * Where owners, modes and devices are: with the files themselves; in attributes of files that are all our own (rsync's
   * `fake super`); or, where the file system knows no attributes, in a state file of fakeroot, links with rsync's
   * `munge symlinks`.
   */
  readonly owners: 'files' | 'attributes' | { readonly fakeroot: string }
}

/** What modules and builds may be called. */
export const moduleName = /^[A-Za-z0-9][A-Za-z0-9._+-]{0,69}$/
export const buildName = /^[A-Za-z0-9][A-Za-z0-9._+-]{0,63}$/

/** Who asks for a module, and until when. */
export interface Client {
  readonly address: string
  /** Aborted when the client has gone, or was held long enough. */
  readonly signal: AbortSignal
}

/**
 * Makes modules that are not there when they are asked for.
 * @returns whether it is there now; false when it is none of this provider's
 * @throws RequestError whose text the client's user reads
 */
export type Provider = (name: string, client: Client) => Promise<boolean>

/** The modules that are served. Changes count from the next connection on. */
export interface Modules {
  list(): readonly Module[]
  get(name: string): Module | undefined
  /** Serves a directory; replaces what had the name. @throws RequestError for names and paths that cannot be */
  publish(module: Module): Promise<void>
  /** Transfers under way go on. @returns whether it was there */
  withdraw(name: string): Promise<boolean>
  /** Asks a provider for each name that is not there. @returns takes it back */
  provide(provider: Provider): () => void
  /** Transfers of a module under way. */
  active(name: string): number
}

export const Modules = token<Modules>('rsync/modules@1')

/** A build of an operating system, as it is published: `contents`, its manifest, and `root/`, the tree. */
export interface Build {
  readonly name: string
  /** Of the directory that holds both. */
  readonly path: string
  /** sha256 of the packed tree, or of the manifest where there was none; hex. */
  readonly digest: string
  /** On disk, unpacked. */
  readonly bytes: number
  readonly entries: number
  /** ISO 8601, UTC. */
  readonly publishedAt: string
  /** Which plugin brought it: `rsync` from `rsync-packed`, `upgrade` from a source. */
  readonly from: string
}

/** A build that is still packed. */
export interface PackedBuild {
  readonly name: string
  /** A tar, packed with bzip2, lzma, xz or gzip or not at all. */
  readonly tree: string
  /** The manifest: a file that is served byte for byte. */
  readonly contents: string
  /** sha256 of `tree`, where the caller has read it already. */
  readonly digest?: string
  readonly from: string
}

export interface Progress {
  /** A line for whoever waits. */
  note(line: string): void
  /** Told often how many bytes of a packed build are unpacked. */
  unpacked?(bytes: number): void
  readonly signal: AbortSignal
}

/** What has come of a build that another server sends file by file. */
export interface Arrival {
  readonly name: string
  /** Whole milliseconds since 1970: when it was last begun or gone on with. */
  readonly at: number
}

/** Builds that come file by file. What has come of one stays, also when the server ends, until it is adopted or dropped. */
export interface Arrivals {
  list(): Promise<readonly Arrival[]>
  /**
   * The directory that one comes to, on the file system of the builds; made where it is not there. Counts as going on
   * with it.
   * @throws RequestError REQUEST_INVALID for what no build is called; SystemError NO_SPACE, NOT_WRITABLE
   */
  folder(name: string): Promise<string>
  /** Out of the way at once, and gone when it returns. @throws as folder() does */
  drop(name: string): Promise<void>
}

/**
 * Why a build must stay.
 * @returns words that follow its name and a colon; undefined when it may go
 */
export type Keeper = (name: string) => Promise<string | undefined>

/**
 * Published builds, each of them complete. What would replace or remove one does so by a rename: transfers under way
 * keep what they have open.
 */
export interface Builds {
  list(): readonly Build[]
  /**
   * Builds that the server did not find on the disk when it started. They are not served, and are there again after the
   * start that finds them, unless they are removed or come anew.
   */
  missing(): readonly Build[]
  /** One that is there. */
  get(name: string): Build | undefined
  /**
   * Unpacks a build under limits and publishes it as the module `build-NAME`.
   * @throws RequestError REQUEST_INVALID (hostile or broken), REFUSED (another's name differs only in case, which rsync
   *   takes for the same; known before anything is unpacked), SystemError NO_SPACE
   */
  install(packed: PackedBuild, progress: Progress): Promise<Build>
  /**
   * Publishes a directory with `contents` and `root/` that another server sent, in `fake super` form already. It is
   * moved, so it must be on the same file system; see `arrivals`. When it is refused, or there is no room, or the
   * signal or the end of the server gives it up, it stays where it was.
   * @throws as install() does, and SystemError UNAVAILABLE where the disk keeps no attributes; the reason of the signal
   */
  adopt(name: string, directory: string, from: string, signal?: AbortSignal): Promise<Build>
  readonly arrivals: Arrivals
  /** A new private directory on the file system of the builds; whatever is left in it goes at the next start. */
  scratch(): Promise<string>
  /** Asks before an operator withdraws a build. @returns takes it back */
  keep(keeper: Keeper): () => void
  /** Removes one that is there, or forgets one that is missing. @returns whether it was either */
  remove(name: string, reason: string): Promise<boolean>
}

export const Builds = token<Builds>('rsync/builds@1')

/** What a client asked for within a module. */
export interface Asked {
  readonly module: string
  /** As rsync logs it, module and all: `builds/885/root/`; several with blanks between. Not to be trusted. */
  readonly paths: string
  readonly address: string
  /** ISO 8601, UTC. */
  readonly at: string
}

/** The end of a transfer. */
export interface Pulled {
  readonly module: string
  readonly address: string
  /** ISO 8601, UTC. */
  readonly at: string
  readonly bytes: number
}

export const Rsync = {
  /** A client began to fetch a module. */
  opened: news<Omit<Pulled, 'bytes'>>('rsync/opened@1'),
  /** What a client fetches from a module is known now; not for each module, and not always. */
  asked: news<Asked>('rsync/asked@1'),
  /** A client's connection to a module ended. */
  pulled: news<Pulled>('rsync/pulled@1'),
}
