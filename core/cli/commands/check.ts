import { existsSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { ControlClient } from '../../control/client.js'
import { socketPathProblem } from '../../control/server.js'
import { exit, type Problem, problemOf, SugarError, SystemError, systemCode } from '../../errors.js'
import type { HouseStatus } from '../../house.js'
import { hasOwnStore, storeDirectory } from '../../lib/directories.js'
import { withTypedCommands } from '../../lib/typed-program.js'
import type { Plan } from '../../loading/plan.js'
import { able } from '../../loading/roster.js'
import { printable, printableJson } from '../../log/printable.js'
import { program, writable } from '../../probe.js'
import { checkRoot } from '../../root.js'
import type { HouseCommand } from '../command.js'

export const check: HouseCommand = {
  name: 'check',
  summary: 'Check plugins, settings and machine; start nothing. Exit code 0: all is well, 1: it is not.',
  lists: true,
  async run({ plan, files, json, output }) {
    const problems = [
      ...plan.problems,
      ...plan.members.flatMap(({ problem }) => problem ?? []),
      ...(await machine(plan)),
    ]
    const well = problems.length === 0
    const found = await told(plan)
    if (json) {
      const names = plan.members.map(({ name }) => name)
      output.out(`${printableJson({ ok: well, files, plugins: names, machine: found, problems })}\n`)
    } else {
      for (const line of found) output.out(`machine   ${printable(line)}\n`)
      for (const file of files) output.out(`settings  ${printable(file)}\n`)
      for (const { name, problem } of plan.members)
        output.out(`plugin    ${printable(name)}${problem ? ': cannot run' : ''}\n`)
      for (const { message, hint } of problems) {
        output.out(`PROBLEM   ${printable(message)}\n`)
        if (hint !== undefined) output.out(`          ${printable(withTypedCommands(hint))}\n`)
      }
      output.out(
        well ? 'all is well\n' : `${problems.length} ${problems.length === 1 ? 'problem' : 'problems'}\n`,
      )
    }
    return well ? exit.ok : exit.failure
  },
}

/** What there is on the machine that is worth a line. */
async function told({ members }: Plan): Promise<string[]> {
  const probes = new Set(able(members).flatMap(({ system }) => system))
  const lines = await Promise.all([...probes].map((probe) => probe.tell?.()))
  return lines.filter((line) => line !== undefined)
}

/** What the machine lacks: programs, directories, free ports. */
async function machine({ members, settings }: Plan): Promise<Problem[]> {
  const root = String(settings.get('root'))
  const plugins = able(members)
  const probes = [
    program('flock', { package: 'util-linux' }),
    writable('root'),
    ...(hasOwnStore({ members }) ? [storeDirectory] : []),
    ...plugins.flatMap(({ system }) => system),
  ]
  const found = await Promise.all(probes.map((probe) => probe.look(settings)))
  const problems = found.flatMap((problem) => (problem === undefined ? [] : [problemOf(problem)]))
  if (existsSync(root) && problems.length === 0) problems.push(...unfit(root))
  const socket = socketPathProblem(join(root, 'run'))
  if (socket !== undefined) problems.push(problemOf(socket))
  const host = String(settings.get('host'))
  const ours = await portsInUse(root)
  for (const { name } of settings.all()) {
    const port = settings.get(name)
    if (!name.endsWith('-port') || typeof port !== 'number' || port === 0 || ours.has(port)) continue
    const code = await refusal(host, port)
    if (code === undefined) continue
    const message = `${settings.describe(name)}: port ${port} on ${host} cannot be had (${code})`
    const hint = 'stop the other program, or choose another port'
    problems.push(problemOf(new SystemError('PORT_BUSY', message, { hint })))
  }
  return problems
}

function unfit(root: string): Problem[] {
  try {
    checkRoot(root)
    return []
  } catch (error) {
    if (error instanceof SugarError) return [problemOf(error)]
    throw error
  }
}

/** Ports on which our own server listens, if it runs: they are taken, and rightly so. */
async function portsInUse(root: string): Promise<Set<number>> {
  try {
    const { listeners } = (await new ControlClient(root).get('/status')) as HouseStatus
    return new Set(listeners.map(({ port }) => port))
  } catch {
    return new Set()
  }
}

function refusal(host: string, port: number): Promise<string | undefined> {
  return new Promise((resolve) => {
    const server = createServer()
    server.once('error', (error) => resolve(systemCode(error) ?? error.message))
    server.listen({ host, port }, () => server.close(() => resolve(undefined)))
  })
}
