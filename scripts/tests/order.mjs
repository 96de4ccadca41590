// Which test files there are, and in which order they begin: the longest first, so that none runs on alone at the end.
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { home } from '../setup.mjs'

const tests = join(home, 'dist', 'test')
/** How long the longest files take, for a fresh clone. */
const committed = join(home, 'scripts', 'tests', 'seconds.json')
/** How long each file took when it last ran here. Not committed. */
const measured = join(home, 'dist', '.test-seconds.json')
/** A file of which nothing is known. */
const usual = 2

/** `system/cli` for `/home/x/dist/test/system/cli.test.js`. */
export const nameOf = (file) => file.replace(/^.*\/dist\/test\//, '').replace(/\.test\.js$/, '')

/**
 * The built test files whose source is there, the longest first.
 * @param parts parts of paths, as in `system/backup` or `test/store/nedb.test.ts`; none means all files
 */
export function testFiles(parts = []) {
  const wanted = parts.map((part) =>
    part.replace(/^(?:\.\/)?(?:dist\/)?test\//, '').replace(/\.(?:js|ts)$/, ''),
  )
  const seconds = { ...readSeconds(committed), ...readSeconds(measured) }
  return readdirSync(tests, { recursive: true })
    .filter((path) => path.endsWith('.test.js'))
    .filter((path) => existsSync(join(home, 'test', path.replace(/\.js$/, '.ts'))))
    .filter((path) => wanted.length === 0 || wanted.some((part) => path.includes(part)))
    .map((path) => join(tests, path))
    .sort((a, b) => (seconds[nameOf(b)] ?? usual) - (seconds[nameOf(a)] ?? usual) || (a < b ? -1 : 1))
}

/** Remembers how long files took, for the order of the next run. */
export function rememberSeconds(results) {
  const seconds = readSeconds(measured)
  for (const { file, seconds: took } of results) seconds[nameOf(file)] = Math.round(took * 10) / 10
  mkdirSync(dirname(measured), { recursive: true })
  writeFileSync(measured, `${JSON.stringify(seconds, undefined, 1)}\n`)
}

function readSeconds(file) {
  try {
    return JSON.parse(readFileSync(file, 'utf8'))
  } catch {
    return {} // The order is a matter of speed only.
  }
}
