// Runs test files, some at a time. Usage: node scripts/tests/run.mjs FILE.test.js...
import { availableParallelism } from 'node:os'
import { pathToFileURL } from 'node:url'
import { report } from './report.mjs'
import { runFile } from './run-file.mjs'

/** No file needs a fifth of this on two quiet cores. */
const patience = 600_000

/** Tests wait for processes, disks and deadlines as well: two more than there are cores keep these busy. */
const atATime = () => availableParallelism() + 2

/**
 * Runs each file, and prints a line about each when it has ended.
 * @param files paths, in the order in which they begin
 * @param options.deadline milliseconds for each file
 * @param options.envOf what the environment of a file has besides this process's, by its place in the list
 * @param options.after called when a file has ended, with its place in the list, before the next begins
 * @returns {Promise<import('./run-file.mjs').FileResult[]>} without their output
 */
export async function runFiles(files, { deadline = patience, envOf = () => ({}), after } = {}) {
  const waiting = [...files]
  const results = []
  const stop = new AbortController()
  const interrupted = (signal) => {
    waiting.length = 0
    stop.abort()
    process.exitCode = signal === 'SIGINT' ? 130 : 143
  }
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP']
  for (const signal of signals) process.on(signal, interrupted)
  const work = async () => {
    for (let file = waiting.shift(); file !== undefined; file = waiting.shift()) {
      const number = files.indexOf(file)
      const result = await runFile(file, {
        deadline,
        // The deadline of one test, where the test sets none: tap's own is 30 s.
        env: { TAP_TIMEOUT: String(deadline / 2000), ...process.env, ...envOf(number) },
        signal: stop.signal,
      })
      console.log(report(result))
      await after?.(number)
      results.push({ ...result, tap: '', errors: '' })
    }
  }
  await Promise.all(Array.from({ length: atATime() }, work))
  for (const signal of signals) process.off(signal, interrupted)
  return results
}

/**
 * Prints which files failed, and the closing line `N passed, N failed`.
 * @param results of runFiles
 * @param others checks that are no test file: name and whether it holds; each counts as one test
 * @returns the exit code
 */
export function close(results, others = []) {
  const broken = others.filter(({ holds }) => !holds)
  const sum = (what) => results.reduce((all, result) => all + result[what], 0)
  const passed = sum('passed') + others.length - broken.length
  const skipped = sum('skipped')
  // A run in which nothing was tested has shown nothing.
  const failed = sum('failed') + broken.length + (results.length === 0 ? 1 : 0)
  const names = [...broken.map(({ name }) => name), ...results.filter((r) => r.failed > 0).map((r) => r.file)]
  if (names.length > 0) console.log(`\nfailed:\n${names.map((name) => `  ${name}`).join('\n')}`)
  console.log(`\n${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`)
  return failed === 0 ? 0 : 1
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) {
  const seconds = Number(process.env.TEST_DEADLINE ?? patience / 1000)
  const results = await runFiles(process.argv.slice(2), { deadline: seconds * 1000 })
  process.exitCode = close(results) || process.exitCode
}
