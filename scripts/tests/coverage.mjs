// Coverage by V8 alone, of the tests and of every node process that they start; c8 makes the report and holds the
// thresholds, which stand in package.json.
import { spawn } from 'node:child_process'
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { setImmediate } from 'node:timers/promises'
import { pathToFileURL } from 'node:url'
import { mergeProcessCovs } from '@bcoe/v8-coverage'
import { home, tool } from '../setup.mjs'

const folder = join(home, 'dist', '.coverage')
const merged = join(folder, 'merged')
const raw = join(folder, 'raw')
/** Whose coverage counts; a process tells of all its modules, a megabyte each time. */
const product = ['core', 'plugins', 'sugaroid'].map(
  (name) => `${pathToFileURL(join(home, 'dist', name)).href}/`,
)

/** Forgets the coverage of the last run. */
export function beginCoverage() {
  rmSync(folder, { recursive: true, force: true })
  mkdirSync(merged, { recursive: true })
}

/** @param number of the test file in this run @returns what its environment must have */
export const coverageEnv = (number) => ({ NODE_V8_COVERAGE: join(raw, String(number)) })

/** Makes one small file of what all processes of a test file have written. */
export async function keepCoverage(number) {
  const { NODE_V8_COVERAGE: from } = coverageEnv(number)
  let all = []
  for (const name of list(from)) {
    const { result } = read(join(from, name))
    all.push({ result: result.filter(({ url }) => product.some((room) => url.startsWith(room))) })
    if (all.length >= 20) all = [mergeProcessCovs(all)]
    await setImmediate()
  }
  writeFileSync(join(merged, `${number}.json`), JSON.stringify(mergeProcessCovs(all)))
  rmSync(from, { recursive: true, force: true })
}

/** Prints the coverage of each folder. @returns whether it is as high as it must be */
export async function coverageHolds() {
  const child = spawn(tool('c8'), ['report', '--temp-directory', merged, '--reporter', 'text'], {
    cwd: home,
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const closed = new Promise((resolve) => child.once('close', resolve))
  for await (const line of createInterface(child.stdout))
    if (line.includes(' | ') && !/^\s*\S+\.m?[jt]s /.test(line)) console.log(line)
  return (await closed) === 0
}

function list(path) {
  try {
    return readdirSync(path)
  } catch {
    return [] // Every process was killed.
  }
}

/** A process that was killed while it wrote leaves a part. */
function read(path) {
  try {
    return JSON.parse(readFileSync(path, 'utf8'))
  } catch {
    return { result: [] }
  }
}
