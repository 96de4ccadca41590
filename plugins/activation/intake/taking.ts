import { formatMoment } from '../../keyring/public.js'
import { calmly } from '../breath.js'
import type { Laptop } from '../documents.js'
import type { Change } from '../roll/change.js'
import { mostLaptops } from '../roll/entry.js'
import { atOdds, named } from '../roll/uuids.js'
import { checkLeases, type GoodLease } from './checking.js'
import { alone, type Desk } from './desk.js'
import { type FoundLaptop, readLaptops, readSerials } from './laptops.js'
import { readLeases } from './leases.js'
import type { Shape } from './shape.js'
import { stocked } from './stocking.js'
import type { Outcome, Reading } from './tally.js'

/** What became of a file, but for its name and kind. */
export type Taken = Pick<Outcome, 'taken' | 'unchanged' | 'refused' | 'refusals' | 'notes'>

const full = `is one more than the ${mostLaptops} laptops that this server can know`

/** Takes over leases: of each laptop the ones that last longest. @throws RequestError for a bundle that is none */
export async function takeLeases(desk: Desk, bytes: Buffer, signal?: AbortSignal): Promise<Taken> {
  const reading = await readLeases(bytes, signal)
  const bySerial = new Map<string, GoodLease[]>()
  for (const lease of await checkLeases(reading, desk, signal)) {
    const others = bySerial.get(lease.serial)
    if (others === undefined) bySerial.set(lease.serial, [lease])
    else others.push(lease)
  }
  const at = formatMoment(desk.planner.now())
  // Each look at a signature takes its time, and what was seen here is known below.
  for await (const turn of calmly(bySerial.keys(), signal)) {
    for (const serial of turn) {
      const { sig01, sig02 } = desk.roll.get(serial)?.stock ?? {}
      for (const kept of [sig01, sig02]) if (kept !== undefined) desk.planner.isGood(serial, kept, at)
    }
  }
  return changing(desk, reading, ({ admit }) => {
    const changes: Change[] = []
    const taken: GoodLease[] = []
    let passed = 0
    for (const [serial, leases] of bySerial) {
      if (!admit(leases)) continue
      const result = stocked(serial, desk.roll.get(serial)?.stock, leases, (kept) =>
        desk.planner.isGood(serial, kept, at),
      )
      passed += leases.length - (result?.taken.length ?? 0)
      if (result === undefined) continue
      taken.push(...result.taken)
      changes.push({ serial, stock: result.stock })
    }
    return { changes, taken: taken.length, passed, notes: uncheckedIn(taken) }
  })
}

function uncheckedIn(taken: readonly GoodLease[]): string[] {
  const counts = new Map<string, number>()
  for (const { unchecked } of taken)
    if (unchecked !== undefined) counts.set(unchecked, (counts.get(unchecked) ?? 0) + 1)
  return [...counts].map(([reason, count]) => `${count} taken unchecked: ${reason}`)
}

/** Takes over a list of laptops: what it says of one counts, what it does not say stays. */
export async function takeLaptops(
  desk: Desk,
  bytes: Buffer,
  shape: Shape,
  signal?: AbortSignal,
): Promise<Taken> {
  const reading = await readLaptops(bytes, shape, signal)
  const taken = await changing(desk, reading, ({ admit }) => {
    const changes: Change[] = []
    let passed = 0
    const others: string[] = []
    for (const found of reading.found) {
      if (!admit([found])) continue
      const { serial, line: _, ...said } = found
      const before = desk.roll.get(serial)?.laptop
      if (before !== undefined && saysNothingNew(before, said)) passed += 1
      else changes.push({ serial, laptop: said })
      if (before?.uuid !== undefined && said.uuid !== undefined && before.uuid !== said.uuid)
        others.push(serial)
    }
    const notes =
      others.length === 0 ? [] : [`${others.length} of them with another uuid than before: ${named(others)}`]
    return { changes, taken: changes.length, passed, notes }
  })
  const told = reading.found.filter(({ serial, uuid }) => uuid !== undefined && desk.planner.isAtOdds(serial))
  const odds = atOdds(told.map(({ serial }) => serial))
  return odds === undefined ? taken : { ...taken, notes: [...taken.notes, odds] }
}

const saysNothingNew = (before: Laptop, { uuid, school }: Omit<FoundLaptop, 'line' | 'serial'>): boolean =>
  (uuid === undefined || uuid === before.uuid) && (school === undefined || school === before.school)

/** Takes over a list of stolen laptops. Who has taken one off knows better than an older list. */
export async function takeStolen(desk: Desk, bytes: Buffer, signal?: AbortSignal): Promise<Taken> {
  const reading = await readSerials(bytes, signal)
  return changing(desk, reading, ({ admit }) => {
    const at = new Date().toISOString()
    const changes: Change[] = []
    let passed = 0
    for (const found of reading.found) {
      const { line, serial } = found
      const theft = desk.roll.get(serial)?.theft
      if (theft?.recovered !== undefined) {
        const since = theft.recovered.slice(0, 10)
        const reason = `was taken off the list of stolen laptops on ${since}, and stays off; if it is stolen again: activation stolen add ${serial}`
        reading.refusals.add({ line, serial, reason })
      } else if (theft !== undefined) passed += 1
      else if (admit([found]))
        changes.push({ serial, theft: { serial, reason: 'on a list of stolen laptops', at } })
    }
    return { changes, taken: changes.length, passed, notes: [] }
  })
}

/** Decides on changes and makes them, all or none, while nobody else does. */
function changing<T extends { line: number; serial: string }>(
  desk: Desk,
  { refusals, repeated }: Reading<T>,
  decide: (spec: { admit: (found: readonly T[]) => boolean }) => {
    changes: readonly Change[]
    taken: number
    passed: number
    notes: readonly string[]
  },
): Promise<Taken> {
  return alone(desk, async () => {
    let room = mostLaptops - desk.roll.size
    /** Whether there is room for the laptop of these lines. */
    const admit = (found: readonly T[]) => {
      const [first] = found
      if (first === undefined || desk.roll.get(first.serial) !== undefined) return true
      room -= 1
      if (room < 0) for (const { line, serial } of found) refusals.add({ line, serial, reason: full })
      return room >= 0
    }
    const { changes, taken, passed, notes } = decide({ admit })
    await desk.roll.apply(changes)
    return { taken, unchanged: passed + repeated, refused: refusals.count, refusals: refusals.first, notes }
  })
}
