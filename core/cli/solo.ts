import { ControlClient } from '../control/client.js'
import { standardOutput } from '../control/output.js'
import { Problems, SugarError } from '../errors.js'
import type { House } from '../house.js'
import type { Plan } from '../loading/plan.js'
import { reportProblems } from './report.js'

/**
 * The root of the server that a command talks to.
 * @throws Problems when the root that was meant is not known: better no server than the wrong one
 */
export function rootOf({ settings, problems }: Plan): string {
  const unread = problems.filter(({ code, option }) => code === 'CONFIG_UNREADABLE' || option === 'root')
  const typed = settings.all().some(({ name, origin }) => name === 'root' && origin.from === 'flag')
  if (unread.some(({ option }) => option === 'root') || (unread.length > 0 && !typed))
    throw new Problems(unread)
  return String(settings.get('root'))
}

/**
 * Asks the running server, or, when none runs, a house of our own with its doors shut: one process owns the store.
 * @param asked the plugin that is asked, which says itself why it cannot answer
 */
export async function withServer<R>(
  plan: Plan,
  ask: (server: ControlClient) => Promise<R>,
  alone: (house: House) => Promise<R>,
  asked?: string,
): Promise<R> {
  const root = rootOf(plan)
  try {
    return await ask(new ControlClient(root))
  } catch (error) {
    if (!(error instanceof SugarError && error.code === 'NOT_RUNNING')) throw error
  }
  if (plan.problems.length > 0) throw new Problems(plan.problems)
  process.umask(0o077)
  // Imported only now: a command that the running server answers needs none of it.
  const [{ openLog }, { House }] = await Promise.all([import('../log/log.js'), import('../house.js')])
  const log = openLog('error')
  const house = new House(plan, log)
  // Without sockets nothing else would keep the process alive while a plugin waits.
  const alive = setInterval(() => undefined, 60_000)
  try {
    await house.start({ listen: false })
    tellFailed(house, asked)
    return await alone(house)
  } finally {
    clearInterval(alive)
    await house.stop()
    await log.flush()
  }
}

/** Says which plugins could not start: what they know is missing from the answer. */
function tellFailed({ kernel }: House, asked: string | undefined): void {
  for (const { name, plugin, state, problem } of kernel.members) {
    if (plugin === undefined || problem === undefined || name === asked) continue
    reportProblems([{ ...problem, message: `${name} is ${state}: ${problem.message}` }], standardOutput)
  }
}
