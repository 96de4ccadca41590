/** The thread that watches over the event loop. @see watchOver */
import { writeSync } from 'node:fs'
import { Session } from 'node:inspector/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { workerData } from 'node:worker_threads'
import { exit } from '../errors.js'
import { readable } from '../log/readable.js'
import { type Culprit, culpritIn } from './culprit.js'
import type { Watched } from './watchdog.js'

const { beats, homes, bounds, tty } = workerData as Watched

/** Milliseconds between two looks. */
const pause = bounds.warn / 5
/** Milliseconds in which JavaScript that runs must answer; a call to the system answers nothing. */
const patience = bounds.end / 2
/** Steps that are taken to find a plugin: between two promises only code of Node itself runs. */
const pauses = 60
/** Milliseconds in which it must end when it is told to. */
const lastPatience = 2_000

let last = Atomics.load(beats, 0)
/** Looks without a beat. They are counted, for a machine that was asleep has a clock that jumps. */
let missed = 0
let found: Promise<Found> | undefined

interface Found {
  /** It answered: JavaScript runs. */
  readonly answers: boolean
  readonly culprit: Culprit | undefined
}

setInterval(() => void look(), pause)

async function look(): Promise<void> {
  const now = Atomics.load(beats, 0)
  if (now !== last) {
    if (found !== undefined && missed > 0)
      say(40, undefined, `the event loop turns again after ${secondsOf(missed)} s`)
    last = now
    missed = 0
    found = undefined
    return
  }
  missed += 1
  const still = missed * pause
  if (still < bounds.warn) return
  if (found === undefined) {
    found = inspect()
    tell(50, await found, '')
    return
  }
  const seen = await found
  if (missed * pause < (seen.answers ? bounds.end : bounds.endInSystem)) return
  // The event loop has not turned since it was looked at. The next look must not end it once more.
  missed = Number.NEGATIVE_INFINITY
  tell(60, seen, ': the server ends, so that it can be started afresh', still)
  await end()
}

/** Stops the main thread between two steps of its JavaScript, looks where it is, and lets it go on. */
async function inspect(): Promise<Found> {
  const session = new Session()
  session.connectToMainThread()
  const urls = new Map<string, string>()
  session.on('Debugger.scriptParsed', ({ params }) => urls.set(params.scriptId, params.url))
  const post = (method: 'Debugger.enable' | 'Debugger.pause' | 'Debugger.stepInto') =>
    // Without an answer they wait until the session ends, and fail then.
    void session.post(method).catch(() => undefined)
  let answers = false
  const named = new Promise<Culprit | undefined>((resolve) => {
    let left = pauses
    session.on('Debugger.paused', ({ params }) => {
      answers = true
      const stack = params.callFrames.map(({ functionName, location }) => ({
        ...{ functionName, url: urls.get(location.scriptId) ?? '', lineNumber: location.lineNumber },
      }))
      const culprit = culpritIn(stack, homes)
      left -= 1
      if (culprit?.plugin !== undefined || left === 0) resolve(culprit)
      else post('Debugger.stepInto')
    })
  })
  try {
    post('Debugger.enable')
    post('Debugger.pause')
    const culprit = await Promise.race([named, sleep(patience, undefined)])
    return { answers, culprit }
  } finally {
    // The end of the session lets the main thread go on.
    session.disconnect()
  }
}

function tell(level: number, { answers, culprit }: Found, then: string, still = missed * pause): void {
  const who = culprit?.plugin === undefined ? 'something' : `plugin ${culprit.plugin}`
  const seconds = Math.round(still / 1000)
  const where = culprit === undefined ? '' : ` in ${culprit.where}`
  const what = answers
    ? `${who} has not returned for ${seconds} s${where}`
    : `the event loop has stood still for ${seconds} s in a call to the system, as to a disk that does not answer`
  say(level, culprit?.plugin, `${what}${then}`)
}

/** With the exit code of a fault of ours where JavaScript can be made to end; by SIGKILL where it cannot. */
async function end(): Promise<void> {
  const session = new Session()
  session.connectToMainThread()
  session
    .post('Runtime.evaluate', { expression: `process.reallyExit(${exit.software})` })
    .catch(() => undefined)
  await sleep(lastPatience)
  process.kill(process.pid, 'SIGKILL')
}

const secondsOf = (looks: number): number => Math.round((looks * pause) / 1000)

/** A line of the log, written at once: whose log it is stands still. */
function say(level: number, plugin: string | undefined, msg: string): void {
  const line = JSON.stringify({ level, time: Date.now(), ...(plugin !== undefined && { plugin }), msg })
  try {
    writeSync(2, tty ? readable(line) : `${line}\n`)
  } catch {
    // The log cannot be written.
  }
}
