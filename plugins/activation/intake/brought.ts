import { basename, dirname } from 'node:path'
import { RequestError, SugarError } from '../../../core/api.js'
import { takeDelegations, takeServerKey } from './authority.js'
import type { Desk } from './desk.js'
import { isKey, knownKinds, type Recognised, recognise } from './kind.js'
import { type Taken, takeLaptops, takeLeases, takeStolen } from './taking.js'
import { type Kind, kinds, type Outcome, type Refused, refusedWhole } from './tally.js'

/** A file that somebody brought. */
export interface Brought {
  /** For people: `leases.sig`, `xs-activation/leases.sig`. */
  readonly name: string
  /** Its content; it may be asked for twice. @throws SugarError when it cannot be had */
  read(): Promise<Buffer>
}

interface Sorted {
  readonly file: Brought
  readonly recognised: Recognised
}

/**
 * Takes in files, in the order in which one helps with the next: keys, laptops, delegations, leases, stolen laptops.
 * Each goes in whole, but for the lines that are refused, or not at all.
 * @throws SystemError when the disk takes no more; the outcomes until then stand
 */
export async function* takeAll(
  desk: Desk,
  files: readonly Brought[],
  signal?: AbortSignal,
): AsyncGenerator<Outcome, void> {
  const keys = files.filter(({ name }) => isKey(name))
  for (const file of keys) {
    const outcome = await takeKey(desk, file, keys)
    if (outcome !== undefined) yield outcome
  }
  const sorted: Sorted[] = []
  for (const file of files.filter((one) => !keys.includes(one))) {
    signal?.throwIfAborted()
    const recognised = await trying(file.name, async () => recognise(file.name, await file.read()))
    if (recognised === undefined)
      yield refusedWhole(file.name, 'it is nothing that is known here', knownKinds)
    else if ('fault' in recognised) yield recognised
    else sorted.push({ file, recognised })
  }
  for (const kind of kinds) {
    for (const { file, recognised } of sorted) {
      if (recognised.kind !== kind) continue
      signal?.throwIfAborted()
      const bytes = await trying(file.name, () => file.read())
      if ('fault' in bytes) yield bytes
      else yield await outcomeOf(file.name, kind, () => take(desk, file.name, recognised, bytes, signal))
    }
  }
}

/** A private half is taken with the public half that lies beside it, and a public half only so. */
async function takeKey(desk: Desk, file: Brought, keys: readonly Brought[]): Promise<Outcome | undefined> {
  const isPrivate = halfOf(file) === 'server.pri'
  const other = isPrivate ? 'server.pub' : 'server.pri'
  const beside = keys.find((one) => dirname(one.name) === dirname(file.name) && halfOf(one) === other)
  if (beside === undefined)
    return refusedWhole(
      file.name,
      `${other}, which belongs to it, is not beside it`,
      'name the directory that both lie in',
    )
  if (!isPrivate) return undefined
  const own = await trying(file.name, () => file.read())
  if ('fault' in own) return own
  const given = await trying(beside.name, () => beside.read())
  if ('fault' in given) return given
  return outcomeOf(file.name, 'key', () => takeServerKey(desk, { private: own, public: given })).finally(() =>
    own.fill(0),
  )
}

const halfOf = ({ name }: Brought): string => basename(name).toLowerCase()

function take(
  desk: Desk,
  name: string,
  recognised: Recognised,
  bytes: Buffer,
  signal: AbortSignal | undefined,
): Promise<Taken> {
  switch (recognised.kind) {
    case 'laptops':
      return takeLaptops(desk, bytes, recognised.shape, signal)
    case 'delegations':
      return takeDelegations(desk, name, bytes)
    case 'leases':
      return takeLeases(desk, bytes, signal)
    default:
      return takeStolen(desk, bytes, signal)
  }
}

/** What reading a file comes to. A stick that cannot be read is no fault of this machine. */
async function trying<T>(name: string, work: () => Promise<T>): Promise<T | Refused> {
  try {
    return await work()
  } catch (error) {
    if (!(error instanceof SugarError)) throw error
    return refusedWhole(name, error.message, error.hint)
  }
}

/** What taking a file in comes to. A disk that takes nothing more is no fault of the file. */
async function outcomeOf(name: string, kind: Kind, work: () => Promise<Taken>): Promise<Outcome> {
  try {
    return { name, kind, ...(await work()) }
  } catch (error) {
    if (!(error instanceof RequestError)) throw error
    return refusedWhole(name, error.message, error.hint)
  }
}
