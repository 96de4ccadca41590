import { url as inspectorUrl } from 'node:inspector'
import { Worker } from 'node:worker_threads'
import { asError } from '../errors.js'
import type { Logger } from '../log/log.js'
import { notify } from '../notify.js'
import type { Home } from './culprit.js'

/** How long the event loop may stand still, in milliseconds. */
export interface Bounds {
  /** Then the log names who holds it. */
  readonly warn: number
  /** Then the server is ended, where JavaScript runs on and on. */
  readonly end: number
  /** The same where a call to the system does not return: a slow disk may hold one for long. */
  readonly endInSystem: number
}

/** What the thread is given. */
export interface Watched {
  /** Counts up while the event loop turns. */
  readonly beats: Int32Array
  readonly homes: readonly Home[]
  readonly bounds: Bounds
  /** Whether the log is for people. */
  readonly tty: boolean
}

const longest: Bounds = { warn: 5_000, end: 30_000, endInSystem: 100_000 }

/**
 * The bounds; all within what systemd allows, so that the log tells the story before systemd ends the service.
 * @param usec WATCHDOG_USEC (sd_watchdog_enabled(3)): microseconds
 */
export function boundsFor(usec: string | undefined): Bounds {
  const given = patienceOf(usec)
  if (given === undefined) return longest
  const end = Math.min(longest.end, given * 0.75)
  const endInSystem = Math.min(longest.endInSystem, given * 0.75)
  return { warn: Math.min(longest.warn, end / 4), end, endInSystem }
}

/** Milliseconds after which systemd ends a service that says nothing; undefined when it watches none. */
const patienceOf = (usec = ''): number | undefined =>
  /^[1-9]\d{5,14}$/.test(usec) ? Number(usec) / 1000 : undefined

/**
 * Watches over the event loop from a thread of its own: a plugin that never returns is named in the log, and in the end
 * the process is ended, for it hears neither laptops nor SIGTERM any more. Tells systemd's watchdog that all is well,
 * from the event loop. Under a debugger, which may stop it for long, nothing is watched.
 */
export function watchOver(homes: readonly Home[], log: Logger): void {
  const usec = process.env.WATCHDOG_USEC
  const patience = patienceOf(usec)
  if (patience !== undefined) setInterval(() => void notify('WATCHDOG=1'), patience / 3).unref()
  if (inspectorUrl() !== undefined) return
  const bounds = boundsFor(usec)
  const beats = new Int32Array(new SharedArrayBuffer(4))
  setInterval(() => Atomics.add(beats, 0, 1), bounds.warn / 5).unref()
  const watched: Watched = { beats, homes, bounds, tty: process.stderr.isTTY === true }
  try {
    const worker = new Worker(new URL('./thread.js', import.meta.url), {
      workerData: watched,
      resourceLimits: { maxOldGenerationSizeMb: 32, maxYoungGenerationSizeMb: 4 },
    })
    worker.on('error', (err) => log.warn({ err }, `the event loop is not watched any more: ${err.message}`))
    worker.unref()
  } catch (thrown) {
    const err = asError(thrown)
    log.warn({ err }, `the event loop is not watched: ${err.message}`)
  }
}
