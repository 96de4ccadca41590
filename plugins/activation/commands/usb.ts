import { asError, type Call, RequestError, SugarError } from '../../../core/api.js'
import { takeAll } from '../intake/brought.js'
import type { Desk } from '../intake/desk.js'
import { type Laid, layOut } from '../intake/place.js'
import { look } from '../intake/stick.js'
import { details, isWhole, type Kind, type Outcome, sentence, sum } from '../intake/tally.js'

/** Exit codes of sysexits.h. */
const dataError = 65
const software = 70

type Usb = Pick<Call, 'print' | 'note' | 'signal'> & { args: { mountpoint: string } }

/**
 * `activation usb MOUNTPOINT`: takes in what a stick holds for this server. Whatever happens, one line on standard
 * output says how it went, for whoever stands before the machine.
 * @returns 0 when all went in, 65 when some was refused, 66 when the stick holds nothing for this server; otherwise the
 *   exit code of what went wrong
 */
export async function usb(desk: Desk, call: Usb): Promise<number> {
  const outcomes: Outcome[] = []
  try {
    for await (const outcome of outcomesOf(desk, call)) {
      for (const line of [...details(outcome), sum(outcome)]) call.note(line)
      outcomes.push(outcome)
    }
    call.print(verdict(outcomes))
    return outcomes.every(isWhole) ? 0 : dataError
  } catch (thrown) {
    if (call.signal.aborted) throw thrown
    const error = asError(thrown)
    const isKnown = error instanceof SugarError
    if (!isKnown) desk.log.error({ err: error }, 'a stick could not be loaded')
    if (isKnown && error.hint !== undefined) call.note(error.hint)
    const reason = isKnown ? error.message : 'something is wrong with this server, whose log says what'
    const taken = takenOf(outcomes)
    call.print(taken === '' ? `nothing was taken: ${reason}` : `only a part was taken, ${taken}: ${reason}`)
    return isKnown ? error.exitCode : software
  }
}

async function* outcomesOf(desk: Desk, { args, note, signal }: Usb): AsyncGenerator<Outcome, void> {
  const { places, foreign } = await look(args.mountpoint, desk.config.hostname)
  for (const folder of foreign)
    note(`passed over: ${folder} is for another server, and this one is ${desk.config.hostname}`)
  const laid: Laid[] = []
  for (const place of places) laid.push(await layOut(desk, { top: args.mountpoint, ...place }, signal))
  const files = laid.flatMap((one) => one.files)
  const refused = laid.flatMap((one) => one.refused)
  if (files.length + refused.length === 0)
    throw new RequestError('NOT_FOUND', 'its manifest.sha1 names no file')
  yield* refused
  yield* takeAll(desk, files, signal)
}

/** `412 leases and 3 laptops taken; you can take the stick out` */
function verdict(outcomes: readonly Outcome[]): string {
  const taken = takenOf(outcomes)
  const faults = outcomes.flatMap(faultsOf)
  const [first] = faults
  const count = outcomes.reduce((all, { fault, refused }) => all + refused + (fault === undefined ? 0 : 1), 0)
  const more = count > 1 ? `, and ${count - 1} more` : ''
  if (first === undefined)
    return `${taken === '' ? 'nothing is new on it' : `${taken} taken`}; you can take the stick out`
  if (taken === '') return `nothing was taken: ${first}${more}`
  return `${taken} taken, but not all (${first}${more}); you can take the stick out`
}

/** The first fault of a file, in words. */
function faultsOf({ name, fault, refusals: [first] }: Outcome): string[] {
  if (fault !== undefined) return [`${name}: ${fault}`]
  return first === undefined ? [] : [`${name}, ${sentence(first)}`]
}

/** What each kind is called: one of it, and several. */
const nouns: Readonly<Record<Kind, readonly [string, string]>> = {
  key: ["the server's key", 'keys of the server'],
  laptops: ['laptop', 'laptops'],
  delegations: ['delegation', 'delegations'],
  leases: ['lease', 'leases'],
  stolen: ['stolen laptop', 'stolen laptops'],
}

function takenOf(outcomes: readonly Outcome[]): string {
  const parts = Object.entries(nouns).flatMap(([kind, [one, several]]) => {
    const count = outcomes.reduce((all, outcome) => all + (outcome.kind === kind ? outcome.taken : 0), 0)
    if (count === 0) return []
    if (count === 1) return [kind === 'key' ? one : `1 ${one}`]
    return [`${count} ${several}`]
  })
  return parts.length < 2 ? parts.join('') : `${parts.slice(0, -1).join(', ')} and ${parts.at(-1)}`
}
