import type { Test } from 'tap'

/**
 * Watches for how long this process lets nothing else have its turn. On a busy machine it also waits for a processor:
 * a turn counts as long as it took, but no longer than the processor time that was spent in it.
 * @returns tells the longest turn so far, in milliseconds
 */
export function watchTurns(t: Pick<Test, 'teardown'>): () => number {
  let longest = 0
  let began = performance.now()
  let spent = process.cpuUsage()
  const tick = () => {
    const used = process.cpuUsage(spent)
    const turn = Math.min(performance.now() - began, (used.user + used.system) / 1000)
    longest = Math.max(longest, turn)
    began = performance.now()
    spent = process.cpuUsage()
  }
  const timer = setInterval(tick, 1)
  t.teardown(() => clearInterval(timer))
  return () => {
    tick()
    return Math.round(longest)
  }
}
