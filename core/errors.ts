/** Exit codes of sysexits.h, the ones this program uses. */
export const exit = {
  ok: 0,
  failure: 1,
  usage: 64,
  dataError: 65,
  noInput: 66,
  unavailable: 69,
  software: 70,
  tempFail: 75,
  noPermission: 77,
  config: 78,
} as const

export interface ErrorDetail {
  /** What to do next, as an imperative: "install the package rsync". */
  hint?: string | undefined
  plugin?: string | undefined
  cause?: unknown
}

/**
 * The root of every error this house throws on purpose.
 *
 * `message` is a lower-case sentence about this case with the value in it; `code` is what programs compare,
 * never the message. docs/reference/errors.md lists every code, and a test holds the two together.
 */
export class SugarError extends Error {
  readonly code: ErrorCode
  /** HTTP status, used only where the error meets HTTP. */
  readonly status: number
  readonly exitCode: number
  readonly hint?: string
  readonly plugin?: string

  constructor(code: ErrorCode, message: string, detail: ErrorDetail = {}) {
    super(message, detail.cause === undefined ? undefined : { cause: detail.cause })
    this.name = new.target.name
    this.code = code
    this.status = codes[code].status
    this.exitCode = codes[code].exit
    if (detail.hint !== undefined) this.hint = detail.hint
    if (detail.plugin !== undefined) this.plugin = detail.plugin
  }
}

interface CodeFacts {
  status: number
  exit: number
  means: string
}

const fact = (status: number, exitCode: number, means: string): CodeFacts => ({
  status,
  exit: exitCode,
  means,
})

/** Every error code, with the HTTP status and exit code it turns into at the edges. */
export const codes = {
  CONFIG_INVALID: fact(500, exit.config, 'settings hold mistakes; all of them are listed'),
  CONFIG_UNREADABLE: fact(500, exit.config, 'a settings file cannot be read or trusted'),
  USAGE: fact(400, exit.usage, 'the command line holds a mistake'),
  PLUGIN_NOT_FOUND: fact(500, exit.config, 'no plugin of this name was found in any of the places listed'),
  PLUGIN_INVALID: fact(500, exit.config, 'the module is not a plugin, or not one for this plugin API'),
  PLUGIN_CONFLICT: fact(500, exit.config, 'two plugins claim the same name, option, service or collection'),
  PLUGIN_CYCLE: fact(500, exit.config, 'plugins need one another in a circle'),
  PLUGIN_FAILED: fact(500, exit.software, 'a plugin threw while it was prepared or started'),
  SERVICE_MISSING: fact(500, exit.config, 'a plugin needs a service that no enabled plugin provides'),
  SERVICE_UNDECLARED: fact(500, exit.software, 'start() did not return exactly the services it promised'),
  HOOK_TIMEOUT: fact(503, exit.tempFail, 'a tap did not answer within its deadline'),
  PROGRAM_MISSING: fact(503, exit.unavailable, 'a program that a plugin needs is not installed'),
  NOT_WRITABLE: fact(503, exit.unavailable, 'a directory cannot be written'),
  WRONG_DIRECTORY: fact(
    503,
    exit.unavailable,
    'a directory is not the one that holds what was kept: its disk is not mounted, or the path is another one',
  ),
  PORT_BUSY: fact(503, exit.config, 'another program listens on the port'),
  PORT_REFUSED: fact(503, exit.noPermission, 'the system does not let this user listen on the port'),
  ALREADY_RUNNING: fact(503, exit.tempFail, 'another sugar-server owns this root'),
  NOT_RUNNING: fact(503, exit.unavailable, 'no sugar-server answers on the control socket'),
  CONTROL_REFUSED: fact(503, exit.noPermission, 'the control socket belongs to another user'),
  STORE_CONFLICT: fact(409, exit.tempFail, 'the key is taken, or the document changed since it was read'),
  STORE_READ_ONLY: fact(
    503,
    exit.tempFail,
    'a write failed, so nothing more is accepted until there is room',
  ),
  STORE_CLOSED: fact(503, exit.tempFail, 'the store is closed'),
  STORE_NEWER: fact(503, exit.software, 'the documents were written by a newer version'),
  STORE_INVALID: fact(500, exit.software, 'the store was asked for something its contract does not know'),
  STORE_UNREADABLE: fact(503, exit.software, 'a data file cannot be read'),
  REQUEST_INVALID: fact(400, exit.dataError, 'the request is malformed'),
  REQUEST_TOO_LARGE: fact(413, exit.dataError, 'the request is larger than its limit'),
  NOT_FOUND: fact(404, exit.noInput, 'what was asked for does not exist'),
  METHOD_NOT_ALLOWED: fact(405, exit.usage, 'the address exists, but not with this method'),
  REFUSED: fact(403, exit.noPermission, 'what was asked for is not allowed'),
  TOO_MANY: fact(429, exit.tempFail, 'too many requests from one address'),
  UNAVAILABLE: fact(503, exit.tempFail, 'the server is starting, stopping, or cannot answer now'),
  NO_SPACE: fact(507, exit.tempFail, 'the disk, or a share of it, is full; nothing was taken in'),
  DISK_FAILING: fact(503, exit.tempFail, 'the disk reports errors: its data must be copied off first'),
  DAMAGED: fact(500, exit.dataError, 'what the disk gives back is not what was written to it'),
  INTERNAL: fact(500, exit.software, 'a fault of ours; the log holds the story under the same reference'),
} satisfies Record<string, CodeFacts>

export type ErrorCode = keyof typeof codes

export const isErrorCode = (text: string | undefined): text is ErrorCode =>
  text !== undefined && Object.hasOwn(codes, text)

/** A mistake in settings or on the command line. */
export class ConfigError extends SugarError {}

/** A plugin that is not what it promised. */
export class PluginError extends SugarError {}

/** Something about this machine. It always says what to do. */
export class SystemError extends SugarError {
  constructor(code: ErrorCode, message: string, detail: ErrorDetail & { hint: string }) {
    super(code, message, detail)
  }
}

export class StoreError extends SugarError {}

/** The only error whose text reaches a client. */
export class RequestError extends SugarError {}

/** One mistake among several that are reported together. */
export interface Problem {
  code: ErrorCode
  message: string
  hint?: string | undefined
  plugin?: string | undefined
  /** The option it is about. */
  option?: string | undefined
}

export const problemOf = (error: SugarError): Problem => ({
  code: error.code,
  message: error.message,
  hint: error.hint,
  plugin: error.plugin,
})

/** All mistakes of a phase at once, so that a deployer mends them in one go. */
export class Problems extends SugarError {
  readonly problems: readonly Problem[]

  constructor(problems: readonly Problem[]) {
    const first = problems[0] ?? { code: 'INTERNAL' as const, message: 'no problem was given' }
    super(first.code, problems.map((problem) => problem.message).join('; '), { hint: first.hint })
    this.problems = problems
  }
}

export const asError = (thrown: unknown): Error =>
  thrown instanceof Error ? thrown : new Error(String(thrown))

/** The system's code of a failed call (`ENOENT`), or undefined. */
export const systemCode = (thrown: unknown): string | undefined =>
  thrown instanceof Error && 'code' in thrown && typeof thrown.code === 'string' ? thrown.code : undefined
