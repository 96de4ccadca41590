import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { receiver } from './cli/receive.js'
import type { InputFile } from './command.js'
import type { Given } from './config/layers.js'
import type { Options } from './config/option.js'
import { executeHere, failure } from './control/execute.js'
import type { CommandReply } from './control/frames.js'
import { Problems, problemOf, SugarError } from './errors.js'
import { House, type HouseStatus } from './house.js'
import { loadPlugin } from './loading/load.js'
import { makePlan } from './loading/plan.js'
import { claim, type Enlisted, listedTwice } from './loading/roster.js'
import { checkShape } from './loading/shape.js'
import { openLog } from './log/log.js'

/** A house with real sockets and a real store, in a directory of its own. */
export interface TestHouse {
  readonly house: House
  readonly root: string
  status(): Promise<HouseStatus>
  /** The base address of a listener: `url('httpd')`. */
  url(listener: string): Promise<string>
  /** Runs a plugin's command as the command line would. */
  command(words: [plugin: string, command: string], call?: TestCall): Promise<TestReply>
  /** Stops it and removes its directory. @returns the errors of undos that failed */
  dispose(): Promise<Error[]>
}

export interface TestCall {
  args?: Record<string, string>
  options?: Record<string, string>
  files?: readonly InputFile[]
  json?: boolean
}

export interface TestReply {
  ended: CommandReply & { exit: number }
  out: string
  err: string
}

/**
 * Boots plugins for a test: the kernel that serves schools, on free ports and a temporary root.
 * @param plugins plugin objects, the default exports of their modules; names of bundled ones
 * @param settings option texts, as they would stand in a settings file
 * @throws Problems when settings are wrong
 */
export async function boot({
  plugins,
  settings = {},
  root,
}: {
  plugins: readonly unknown[]
  settings?: Record<string, string>
  /** A root to come back to; it is left in place. */
  root?: string
}): Promise<TestHouse> {
  const folder = root ?? (await mkdtemp(join(tmpdir(), 'sugar-test-')))
  const remove = () => (root === undefined ? rm(folder, { recursive: true, force: true }) : undefined)
  let house: House
  try {
    house = await start(plugins, settings, folder)
  } catch (error) {
    await remove()
    throw error
  }
  return {
    house,
    root: folder,
    status: () => house.status(),
    async url(listener) {
      const found = (await house.status()).listeners.find(({ name }) => name === listener)
      if (found === undefined) throw new TypeError(`there is no listener ${listener}`)
      return `http://127.0.0.1:${found.port}`
    },
    command: ([plugin, command], call = {}) => run(house, plugin, command, call),
    async dispose() {
      const errors = await house.stop()
      await remove()
      return errors
    },
  }
}

async function start(
  plugins: readonly unknown[],
  settings: Record<string, string>,
  root: string,
): Promise<House> {
  const members = await Promise.all(plugins.map(enlisted))
  const names = members.map(({ name }) => name)
  const problems = names.filter((name, index) => names.indexOf(name) !== index).map(listedTwice)
  claim(members)
  const texts = {
    root,
    plugins: names.join(','),
    'log-level': 'silent',
    'drain-seconds': '2',
    host: '127.0.0.1',
    ...freePorts(members),
    ...settings,
  }
  const given: Given[] = Object.entries(texts).map(([name, text]) => ({
    name,
    text,
    origin: { from: 'flag', flag: name },
    base: root,
  }))
  const plan = await makePlan({ members, problems }, given)
  if (plan.problems.length > 0) throw new Problems(plan.problems)
  const house = new House(plan, openLog(String(plan.settings.get('log-level'))))
  await house.start({ listen: true })
  return house
}

async function enlisted(object: unknown): Promise<Enlisted> {
  try {
    if (typeof object === 'string') {
      const { plugin, source } = await loadPlugin(object, '/')
      return { name: plugin.name, source, plugin }
    }
    const plugin = checkShape(object, 'the plugin under test')
    return { name: plugin.name, source: 'path', plugin }
  } catch (error) {
    if (!(error instanceof SugarError)) throw error
    const name = (object as { name?: unknown } | null)?.name
    return { name: typeof name === 'string' ? name : 'unnamed', source: 'path', problem: problemOf(error) }
  }
}

function freePorts(members: readonly Enlisted[]): Record<string, string> {
  const options: Options = Object.assign({}, ...members.map(({ plugin }) => plugin?.options ?? {}))
  const ports = ['httpd-port', ...Object.keys(options)].filter((name) => name.endsWith('-port'))
  return Object.fromEntries(ports.map((name) => [name, '0']))
}

async function run(house: House, plugin: string, command: string, call: TestCall): Promise<TestReply> {
  const reply = { out: '', err: '' }
  const output = {
    out: (text: string) => {
      reply.out += text
    },
    err: (text: string) => {
      reply.err += text
    },
  }
  const { args = {}, options = {}, files = [], json = false } = call
  const request = { plugin, command, args, options, json, cwd: '/' }
  const around = {
    files: async function* () {
      yield* files
    },
    output,
    deliver: receiver(new Set(Object.values(options)), (line) => output.err(`${line}\n`)),
    signal: new AbortController().signal,
  }
  const spec = house.kernel.members.find(({ name }) => name === plugin)?.plugin?.commands[command]
  const ended = await (spec?.here === undefined
    ? house.command(request, around)
    : executeHere(spec, spec.here, request, around).then((exit) => ({ exit }), failure))
  return { ended, ...reply }
}
