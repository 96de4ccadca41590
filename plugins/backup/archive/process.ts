/** The process that keeps the archive. @see Archivist */
import { asError, type ErrorCode, SugarError, systemCode } from '../../../core/api.js'
import { archiveFault } from './flush.js'
import { exclusive, type JobName, jobsOf } from './jobs.js'
import { Layout } from './layout.js'
import type { Progress } from './progress.js'

export type ToProcess = { id: number; job: JobName; given: unknown } | { cancel: number }

export type FromProcess =
  | { id: number; result: unknown }
  | { id: number; files: number; bytes: number }
  | { id: number; error: Failure }

/** What a job threw. */
export interface Failure {
  readonly code?: ErrorCode
  /** Of a call that failed, where nobody made an error of ours of it. */
  readonly systemCode?: string | undefined
  readonly message: string
  readonly hint?: string | undefined
  /** For the log, of what nobody expected. */
  readonly stack?: string | undefined
}

/** Milliseconds between two reports of progress. */
const between = 200

const [, , root = ''] = process.argv
const jobs = jobsOf(new Layout(root))
const cancelled = new Set<number>()
const server = process.ppid
let turn: Promise<unknown> = Promise.resolve()

process.umask(0o077)
// A terminal's ^C is meant for the server, which ends us when it is done.
process.on('SIGINT', () => undefined)
process.on('SIGTERM', () => undefined)
process.on('disconnect', () => process.exit())
process.on('message', (message: ToProcess) => {
  if ('cancel' in message) cancelled.add(message.cancel)
  else void serve(message)
})

async function serve({ id, job, given }: Extract<ToProcess, { job: unknown }>): Promise<void> {
  const work = async () => tell(await attempt(id, job, given))
  if (!exclusive.has(job)) return work()
  turn = turn.then(work)
  await turn
}

async function attempt(id: number, job: JobName, given: unknown): Promise<FromProcess> {
  try {
    const result = await jobs[job](given as never, progressOf(id))
    return { id, result }
  } catch (thrown) {
    return { id, error: failureOf(archiveFault(thrown, root, 'the disk of the backups is full')) }
  } finally {
    cancelled.delete(id)
  }
}

function failureOf(thrown: unknown): Failure {
  const error = asError(thrown)
  const { message, stack } = error
  if (error instanceof SugarError) return { code: error.code, message, hint: error.hint }
  return { systemCode: systemCode(error), message, stack }
}

function progressOf(id: number): Progress {
  let files = 0
  let bytes = 0
  let told = Date.now()
  return {
    step(more) {
      files += 1
      bytes += more
      // Work without a pause hears no messages; that the server is gone shows in whose child this process is.
      if (process.ppid !== server) process.exit()
      if (cancelled.has(id)) throw new SugarError('UNAVAILABLE', 'given up')
      if (Date.now() - told < between) return
      told = Date.now()
      tell({ id, files, bytes })
    },
  }
}

function tell(message: FromProcess): void {
  // The server may be gone between two steps.
  process.send?.(message, undefined, undefined, () => undefined)
}
