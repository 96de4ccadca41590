import type { Service } from '../service.js'

/** A lease that was made out for a stick. */
export interface MadeOut {
  readonly serial: string
  /** Without its line end. */
  readonly line: string
  /** Not signed now: it came ready, or was signed before. */
  readonly isReady: boolean
}

/** What could be made out for laptops, in their order. */
export interface Unlocked {
  readonly leases: readonly MadeOut[]
  /** Laptops without a lease, and why. */
  readonly without: readonly { readonly serial: string; readonly why: string }[]
}

/** Leases that are made out at the same time: enough to keep a signer busy, and no more. */
const atOnce = 32

/** Leases for a stick. @param days that they last, where they are signed now */
export async function unlock(
  { decision, planner }: Pick<Service, 'decision' | 'planner'>,
  serials: readonly string[],
  { days, signal, progress }: { days: number; signal: AbortSignal; progress: (done: number) => void },
): Promise<Unlocked> {
  const leases: MadeOut[] = []
  const without: { serial: string; why: string }[] = []
  for (let at = 0; at < serials.length; at += atOnce) {
    signal.throwIfAborted()
    const part = serials.slice(at, at + atOnce)
    const made = await Promise.all(part.map((serial) => decision.unlocker(serial, days)))
    for (const [index, serial] of part.entries()) {
      const one = made[index]
      if (one === undefined) continue
      if ('line' in one) leases.push({ serial, line: one.line, isReady: one.from === 'stored' })
      else without.push({ serial, why: one.why })
    }
    progress(at + part.length)
  }
  // To sign for a school takes a while, in which somebody may say that a laptop is stolen.
  const gone = leases.filter(({ serial }) => planner.isStolen(serial))
  for (const { serial } of gone) without.push({ serial, why: 'it is stolen' })
  return { leases: leases.filter(({ serial }) => !planner.isStolen(serial)), without }
}
