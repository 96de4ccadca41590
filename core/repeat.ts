import type { Logger } from 'pino'

// Node takes a longer one for 1 ms.
const longestTimeout = 2 ** 31 - 1

/**
 * Runs a job again and again with a pause between, never two at once. A failure is logged, and the next run comes.
 * @returns the undo: it waits for a run under way
 */
export function repeat(seconds: number, job: () => unknown, log: Logger): () => Promise<void> {
  let timer: NodeJS.Timeout | undefined
  let running: Promise<void> = Promise.resolve()
  let ended = false
  const run = async () => {
    try {
      await job()
    } catch (error) {
      log.error({ err: error }, `a job failed; it runs again in ${seconds} s`)
    }
    plan()
  }
  const plan = () => {
    if (!ended) timer = setTimeout(() => (running = run()), Math.min(seconds * 1000, longestTimeout))
  }
  plan()
  return () => {
    ended = true
    clearTimeout(timer)
    return running
  }
}
