import { readdir, readFile, stat } from 'node:fs/promises'
import { join, relative, resolve } from 'node:path'
import { buffer } from 'node:stream/consumers'
import type { CommandSpec, InputFile } from '../command.js'
import { executeHere } from '../control/execute.js'
import { type CommandReply, largestFile } from '../control/frames.js'
import { asError, exit, RequestError, SystemError, systemCode } from '../errors.js'
import { printable } from '../log/printable.js'
import type { Environment } from './command.js'
import { isFree, occupied, receiver } from './receive.js'
import { reportProblems } from './report.js'
import { withServer } from './solo.js'

/** Runs `sugar-server PLUGIN COMMAND` where the store is, or here, if it needs no store. @returns its exit code */
export async function runPluginCommand(
  plugin: string,
  command: string,
  spec: CommandSpec,
  around: Environment,
): Promise<number> {
  const { plan, json, output, cwd } = around
  const args = withWholePaths(spec, around.args, cwd)
  const options = readHere(spec, around.options, cwd)
  const input = Object.entries(spec.args ?? {}).find(([, { input }]) => input === true)?.[0]
  const named = input === undefined ? undefined : args[input]
  const files = () => (named === undefined ? none() : readInput(named, cwd))
  if (named !== undefined && named !== '-') await mustExist(resolve(cwd, named))
  await mustBeFree(spec, options)
  const request = { plugin, command, args, options, cwd, json }
  const deliver = receiver(new Set(Object.values(options)), (line) => output.err(`${printable(line)}\n`))
  const gone = new AbortController()
  const interrupt = () => gone.abort()
  process.once('SIGINT', interrupt)
  const surroundings = { files, output, deliver, signal: gone.signal }
  const ending: Promise<Extract<CommandReply, { exit: number }>> =
    spec.here === undefined
      ? withServer(
          plan,
          (server) => server.command(request, files(), output, deliver, gone.signal),
          (house) => house.command(request, surroundings),
          plugin,
        )
      : executeHere(spec, spec.here, request, surroundings).then((exit) => ({ exit }))
  const ended = await ending
    .catch((error: unknown) => {
      if (!gone.signal.aborted) throw error
      return undefined
    })
    .finally(() => process.off('SIGINT', interrupt))
  if (ended === undefined || gone.signal.aborted) return interrupted
  if ('message' in ended && ended.message !== undefined) {
    reportProblems([{ code: 'INTERNAL', message: ended.message, hint: ended.hint }], output)
  }
  return ended.exit ?? exit.software
}

function withWholePaths(
  spec: CommandSpec,
  args: Readonly<Record<string, string>>,
  cwd: string,
): Record<string, string> {
  const isPath = (name: string) => spec.args?.[name]?.path === true
  return Object.fromEntries(
    Object.entries(args).map(([name, word]) => [name, isPath(name) ? resolve(cwd, word) : word]),
  )
}

/** Options as the server will read them, wherever it stands and whoever it is: `~/` is the home of the person here. */
function readHere(
  spec: CommandSpec,
  options: Readonly<Record<string, string>>,
  cwd: string,
): Record<string, string> {
  const read = ([name, text]: [string, string]): [string, string] => {
    const option = spec.options?.[name]
    try {
      return [name, option === undefined ? text : option.write(option.read(text, { base: cwd }))]
    } catch (error) {
      throw new RequestError('USAGE', `--${name} ${asError(error).message}`)
    }
  }
  return Object.fromEntries(Object.entries(options).map(read))
}

// 128 and the signal's number, as shells have it.
const interrupted = 130

async function* none(): AsyncGenerator<InputFile> {}

async function mustExist(path: string): Promise<void> {
  try {
    await stat(path)
  } catch (cause) {
    throw new SystemError('NOT_FOUND', `${path} cannot be read (${systemCode(cause)})`, {
      hint: 'check the path',
      cause,
    })
  }
}

/** What `--to` names would be refused once all is made, and perhaps signed and noted for good. */
async function mustBeFree(spec: CommandSpec, typed: Readonly<Record<string, string>>): Promise<void> {
  const { to } = typed
  if (to === undefined || to === '' || spec.options?.to?.placeholder !== 'PATH') return
  if (spec.adds?.(typed) === true) return
  // What cannot be looked at is told by the delivery, should it come to that.
  if (!(await isFree(to).catch(() => true))) throw occupied(to)
}

let taken: Promise<Buffer> | undefined

/** Standard input can be read only once, and a command that found no server asks for it again. */
function standardInput(): Promise<Buffer> {
  taken ??= buffer(process.stdin)
  return taken
}

/** A file, every file of a directory, or standard input. */
async function* readInput(named: string, cwd: string): AsyncGenerator<InputFile> {
  if (named === '-') {
    yield { path: '-', bytes: await standardInput() }
    return
  }
  const top = resolve(cwd, named)
  const found = await stat(top)
  if (!found.isFile() && !found.isDirectory()) {
    throw new RequestError('REFUSED', `${top} is neither a file nor a directory`, {
      hint: 'name a file, a directory, or - for standard input',
    })
  }
  if (found.isFile()) {
    yield { path: named, bytes: await readWhole(top) }
    return
  }
  const entries = await readdir(top, { recursive: true, withFileTypes: true })
  for (const entry of entries.filter((one) => one.isFile())) {
    const path = join(entry.parentPath, entry.name)
    yield { path: relative(top, path), bytes: await readWhole(path) }
  }
}

async function readWhole(path: string): Promise<Buffer> {
  if ((await stat(path)).size > largestFile) {
    throw new SystemError('REQUEST_TOO_LARGE', `${path} is larger than 64 MiB`, { hint: 'split it' })
  }
  return readFile(path)
}
