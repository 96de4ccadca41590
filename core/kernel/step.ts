import { PluginError } from '../errors.js'
import type { Member } from './member.js'

const slowSeconds = 5
/** How long a plugin may keep the others waiting. One that comes later than that is not taken in any more. */
const stepSeconds = 60

export interface Ends {
  /** Aborted when the house stops; `stopped` resolves then. */
  stop: AbortSignal
  stopped: Promise<void>
  fail(error: unknown): Promise<void>
}

/** One phase of one plugin: timed, contained, given up in time, and talked about when it is slow. */
export async function step(
  member: Member,
  what: string,
  work: () => Promise<void>,
  { stop, stopped, fail }: Ends,
): Promise<void> {
  const began = performance.now()
  const slow = setInterval(() => {
    const seconds = Math.round((performance.now() - began) / 1000)
    member.log.warn(`${member.name} has been in ${what} for ${seconds} s`)
  }, slowSeconds * 1000)
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    const message = `${member.name} did not finish ${what} within ${stepSeconds} s`
    const giveUp = () => reject(new PluginError('PLUGIN_FAILED', message, { plugin: member.name }))
    timer = setTimeout(giveUp, stepSeconds * 1000)
  })
  try {
    await Promise.race([work(), late, stopped])
  } catch (error) {
    // Giving up because of the stop is no failure; stop() undoes what it did so far.
    if (stop.aborted) member.log.info({ err: error }, `${member.name} gave up ${what}`)
    else await fail(error)
  } finally {
    clearInterval(slow)
    clearTimeout(timer)
    member.ms += performance.now() - began
  }
}
