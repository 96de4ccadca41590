import type { Call, CommandSpec, InputFile } from '../command.js'
import { asError, exit, RequestError, SugarError } from '../errors.js'
import type { Kernel } from '../kernel/kernel.js'
import { printable, printableJson } from '../log/printable.js'
import type { CommandReply, CommandRequest } from './frames.js'
import { listing, type Output } from './output.js'

/** Characters of an error's message that fit into a reply. */
const longestMessage = 8192

/** What a command needs besides its request. */
export interface Surroundings {
  files: () => AsyncIterable<InputFile>
  output: Output
  deliver: Call['deliver']
  signal: AbortSignal
}

/**
 * Runs a plugin's command in the process that owns the store.
 * @returns how it ended; errors are told in it, never thrown
 */
export async function execute(
  kernel: Kernel,
  request: CommandRequest,
  around: Surroundings,
): Promise<CommandReply & { exit: number }> {
  const member = kernel.members.find(({ name }) => name === request.plugin)
  try {
    if (member === undefined) {
      throw new RequestError('NOT_FOUND', `the plugin ${request.plugin} is not enabled`, {
        hint: `add it to the option plugins: --plugins ...,${request.plugin}`,
      })
    }
    const own = member.plugin?.commands ?? {}
    const spec = Object.hasOwn(own, request.command) ? own[request.command] : undefined
    if (member.plugin !== undefined && spec === undefined) {
      throw new RequestError('NOT_FOUND', `${request.plugin} has no command ${request.command}`, {
        hint: `see sugar-server ${request.plugin} --help`,
      })
    }
    if (spec?.here !== undefined) {
      throw new RequestError('REQUEST_INVALID', `${request.plugin} ${request.command} runs where it is typed`)
    }
    const run = member.commands.get(request.command)
    if (spec === undefined || run === undefined || member.state !== 'running') {
      const why = member.problem?.message ?? `it is ${member.state}`
      throw new RequestError('UNAVAILABLE', `${request.plugin} cannot do that now: ${why}`, {
        hint: member.problem?.hint,
      })
    }
    return { exit: (await run(callOf(spec, request, around))) ?? exit.ok }
  } catch (thrown) {
    if (!(thrown instanceof SugarError))
      member?.log.error({ err: asError(thrown) }, `${request.plugin} ${request.command} failed`)
    return failure(thrown)
  }
}

/**
 * Runs a command that needs no house, in this process.
 * @param here what its `spec` says of that
 * @returns its exit code; @throws whatever it throws
 */
export async function executeHere(
  spec: CommandSpec,
  here: NonNullable<CommandSpec['here']>,
  request: CommandRequest,
  around: Surroundings,
): Promise<number> {
  const { run } = await here()
  return (await run(callOf(spec, request, around) as never)) ?? exit.ok
}

/** How a command ended that threw. */
export function failure(thrown: unknown): CommandReply & { exit: number } {
  const error = asError(thrown)
  const known =
    error instanceof SugarError ? { code: error.code, ...(error.hint && { hint: error.hint }) } : {}
  return {
    exit: error instanceof SugarError ? error.exitCode : exit.software,
    message: error.message.slice(0, longestMessage),
    ...known,
  }
}

function callOf(
  spec: CommandSpec,
  request: CommandRequest,
  { files, output, deliver, signal }: Surroundings,
): Call {
  return {
    args: request.args as never,
    options: readOptions(spec, request) as never,
    files,
    print: (line) => output.out(`${printable(line)}\n`),
    note: (line) => output.err(`${printable(line)}\n`),
    list: (rows, columns) => output.out(listing(rows, columns, request.json)),
    show: (lines, facts) =>
      output.out(
        request.json ? `${printableJson(facts)}\n` : lines.map((line) => `${printable(line)}\n`).join(''),
      ),
    write: (text) => output.out(text),
    deliver,
    signal,
  }
}

function readOptions(spec: CommandSpec, { options, cwd }: CommandRequest): Record<string, unknown> {
  const values: Record<string, unknown> = {}
  for (const [name, option] of Object.entries(spec.options ?? {})) {
    const text = options[name]
    try {
      values[name] = text === undefined ? option.default : option.read(text, { base: cwd })
    } catch (error) {
      throw new RequestError('USAGE', `--${name} ${asError(error).message}`)
    }
  }
  return values
}
