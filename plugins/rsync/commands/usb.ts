import { asError, type Call, type Logger, SugarError } from '../../../core/api.js'
import type { Shelf } from '../builds/shelf.js'
import { type Outcome, sentence } from '../packed/outcome.js'
import { copyBuilds, type Sticking } from '../packed/stick.js'

/** Exit codes of sysexits.h. */
const dataError = 65
const software = 70

const million = 1_000_000

type Usb = Pick<Call, 'print' | 'note' | 'signal'> & { args: { mountpoint: string } }

/** What it works with. */
interface Desk {
  readonly builds: Pick<Shelf, 'refresh' | 'packed'>
  readonly config: Sticking['config'] & { readonly 'rsync-tree-limit': number }
  readonly log: Logger
}

/**
 * `rsync usb MOUNTPOINT`: installs the builds of a stick. Whatever happens, one line on standard output says how it went,
 * for whoever stands before the machine.
 * @returns 0 when all is published, 65 when something was refused; that of the error when nothing could be taken
 */
export async function usb(desk: Desk, call: Usb): Promise<number> {
  const outcomes: Outcome[] = []
  try {
    for await (const outcome of outcomesOf(desk, call)) {
      call.note(sentence(outcome))
      outcomes.push(outcome)
    }
    call.print(verdict(outcomes))
    return outcomes.some(({ what }) => what === 'refused') ? dataError : 0
  } catch (thrown) {
    const error = asError(thrown)
    const isKnown = error instanceof SugarError
    if (!isKnown) desk.log.error({ err: error }, 'the builds of a stick could not be installed')
    if (isKnown && error.hint !== undefined) call.note(error.hint)
    const reason = isKnown ? error.message : 'something is wrong with this server, whose log says what'
    const taken = takenOf(outcomes)
    call.print(taken === '' ? `nothing was taken: ${reason}` : `only a part was taken, ${taken}: ${reason}`)
    return isKnown ? error.exitCode : software
  }
}

async function* outcomesOf({ builds, config }: Desk, call: Usb): AsyncGenerator<Outcome, void> {
  const progress = { note: (line: string) => call.note(line), signal: call.signal }
  const largestTree = config['rsync-tree-limit'] * million
  const sticking = { mountpoint: call.args.mountpoint, to: builds.packed, largestTree, config }
  const { names, refused } = await copyBuilds(sticking, progress)
  yield* refused
  for (const name of new Set(names)) yield* await builds.refresh({ name, force: false }, progress)
}

/** `2 builds published (885, 13.2.0-13); you can take the stick out` */
function verdict(outcomes: readonly Outcome[]): string {
  const taken = takenOf(outcomes)
  const [first, ...others] = outcomes.filter(({ what }) => what === 'refused')
  if (first === undefined)
    return `${taken === '' ? 'nothing is new on it' : taken}; you can take the stick out`
  const fault = `${first.name}: ${first.note}${others.length === 0 ? '' : `, and ${others.length} more`}`
  return taken === ''
    ? `nothing was taken: ${fault}`
    : `${taken}, but not all (${fault}); you can take the stick out`
}

function takenOf(outcomes: readonly Outcome[]): string {
  const names = outcomes.flatMap(({ name, what }) => (what === 'published' ? [name] : []))
  if (names.length === 0) return ''
  return `${names.length} ${names.length === 1 ? 'build' : 'builds'} published (${names.join(', ')})`
}
