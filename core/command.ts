import type { Config, Options } from './config/option.js'

/** A word that a command takes. */
export interface Argument {
  readonly help: string
  readonly optional?: true
  /**
   * The word names a file or directory, which the command line reads and sends along: the server may run as
   * another user. `-` is standard input. At most one argument of a command.
   */
  readonly input?: true
  /** The word names a file or directory that the server itself reads or writes; it comes as an absolute path. */
  readonly path?: true
}

export interface CommandSpec {
  readonly summary: string
  /** In the order in which they are typed; shown in capitals. */
  readonly args?: Readonly<Record<string, Argument>>
  readonly options?: Options
  /** Prints rows: gives the command `--json`. */
  readonly lists?: true
  /**
   * Imports what the command does, when that looks at nothing but what was typed. It runs in the process of the person
   * at the command line and with that person's rights: no server, root or store is asked for, and its plugin need not
   * be enabled. start() says nothing of it.
   */
  readonly here?: () => Promise<{ run(call: never): CommandEnd }>
  /**
   * Whether `--to` names a directory that is there already and gets new files, by the options as they were typed.
   * Without it `--to` must name what is not there yet.
   */
  readonly adds?: (options: Readonly<Record<string, string>>) => boolean
}

export type Commands = Readonly<Record<string, CommandSpec>>

/** Commands whose `here` takes the call that each declares. */
export type FittingCommands<M extends Commands> = {
  readonly [K in keyof M]: { readonly here?: () => Promise<{ run: CommandRun<M[K]> }> }
}

/** Names of the commands that start() gives a meaning: those without `here`. */
export type GivenCommands<M extends Commands> = {
  [K in keyof M & string]: M[K] extends { readonly here: unknown } ? never : K
}[keyof M & string]

/** A file that came with a command. */
export interface InputFile {
  /** Name, relative to the directory that was named. */
  readonly path: string
  readonly bytes: Buffer
}

/** Something that a command hands to the person at the command line, written there with that person's rights. */
export type Delivery =
  | {
      /** Absolute path: of a file, or of a directory that the content, a tar stream, is unpacked into. */
      readonly to: string
      readonly form: 'file' | 'directory'
    }
  | Additions

/**
 * Files for a directory that is there already, such as a USB stick. The content is a tar stream of plain files. Those
 * at its top are the files proper; a name that is taken, on the stick or without regard to case, gets a number behind
 * it. They may have companions, which lie in a folder and are called after them.
 */
export interface Additions {
  /** Absolute path of the directory. */
  readonly to: string
  readonly form: 'additions'
  /** Where companions lie, `*` for the name of the file: `.Sugar-Metadata/*.metadata`. */
  readonly companions: readonly string[]
}

/** A column of a listing, for people; `--json` prints the rows whole. */
export interface Column<R> {
  readonly title: string
  text(row: R): string
}

/** One run of a command, in the process that owns the store; with `here`, in that of the person who typed it. */
export interface Call<S extends CommandSpec = CommandSpec> {
  readonly args: {
    readonly [K in keyof S['args']]: S['args'][K] extends { optional: true } ? string | undefined : string
  }
  readonly options: S['options'] extends Options ? Config<S['options']> : Readonly<Record<string, never>>
  /** What the input argument named. Files over 64 MiB are refused. */
  files(): AsyncIterable<InputFile>
  /** A line for people, on standard output. */
  print(line: string): void
  /** A line about how it goes, on standard error. */
  note(line: string): void
  /** Rows, as a table or as JSON. */
  list<R>(rows: readonly R[], columns: readonly Column<R>[]): void
  /** One thing: lines for people, or its facts as JSON. */
  show(lines: readonly string[], facts: Readonly<Record<string, unknown>>): void
  /** Text as it is, on standard output: a file's content. */
  write(text: string): void
  /**
   * Hands over a file, a directory, or files for a directory: whole, or not at all. Nothing is overwritten.
   * @throws SugarError when it cannot be written
   */
  deliver(what: Delivery, content: AsyncIterable<Uint8Array>): Promise<void>
  /** Aborted when the person at the command line gives up. */
  readonly signal: AbortSignal
}

/** An exit code other than 0, if need be. */
type CommandEnd = number | undefined | Promise<number | undefined> | void | Promise<void>

/** Throws a SugarError to fail with a message. */
export type CommandRun<S extends CommandSpec> = (call: Call<S>) => CommandEnd
