// Makes a fresh clone ready: dependencies, then the build. Each only when something has changed since.
import { spawnSync } from 'node:child_process'
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'

export const home = fileURLToPath(new URL('..', import.meta.url))

const oldest = [20, 19]

/** Runs a program with its output on ours, and ends everything when it fails. */
export function must(program, args, options = {}) {
  const { status, error } = spawnSync(program, args, { cwd: home, stdio: 'inherit', ...options })
  if (status === 0) return
  console.error(`${program} ${args.join(' ')} failed${error ? `: ${error.message}` : ''}`)
  process.exit(status || 1)
}

/** The path of a program that came with the dependencies. */
export const tool = (name) => join(home, 'node_modules', '.bin', name)

/** What there is to build: the product alone, or with its tests and benches. */
const builds = {
  product: { project: 'tsconfig.build.json', sources: ['core', 'plugins', 'sugaroid'] },
  everything: { project: 'tsconfig.json', sources: ['core', 'plugins', 'sugaroid', 'test', 'bench'] },
}

export function setUp(what = 'everything') {
  const [major, minor] = process.versions.node.split('.').map(Number)
  if (major < oldest[0] || (major === oldest[0] && minor < oldest[1])) {
    console.error(`Node ${process.versions.node} is too old: install Node ${oldest.join('.')} or newer`)
    process.exit(69)
  }
  const installed = join(home, 'node_modules', '.package-lock.json')
  if (newer(join(home, 'package-lock.json'), installed)) {
    console.error('installing dependencies ...')
    // On standard error: standard output is the server's.
    must('npm', ['ci', '--no-audit', '--no-fund'], { stdio: ['ignore', 2, 2] })
    utimesSync(installed, new Date(), new Date())
  }
  const { project, sources } = builds[what]
  const built = join(home, 'dist', `.built-${what}`)
  if (
    [...sources, 'tsconfig.json', project, 'package.json'].some((source) => newer(join(home, source), built))
  ) {
    console.error('building ...')
    forgetRemovedPlugins()
    forgetRemovedTests()
    must(tool('tsc'), ['-p', project], { stdio: ['ignore', 2, 2] })
    writeFileSync(built, '')
  }
  offerPrograms()
}

/** A plugin whose source is gone must not be found among the built ones. */
function forgetRemovedPlugins() {
  const built = join(home, 'dist', 'plugins')
  for (const name of existsSync(built) ? readdirSync(built) : []) {
    if (!existsSync(join(home, 'plugins', name))) rmSync(join(built, name), { recursive: true })
  }
}

/** A helper that was moved must not be found by its old name, which a fresh clone does not have. */
function forgetRemovedTests() {
  const built = join(home, 'dist', 'test')
  for (const name of existsSync(built) ? readdirSync(built, { recursive: true }) : []) {
    const stem = /^(.*)\.(?:js|js\.map|d\.ts)$/.exec(name)?.[1]
    if (stem !== undefined && !existsSync(join(home, 'test', `${stem}.ts`))) rmSync(join(built, name))
  }
}

/** Offers the built programs by the names under which they are installed, in dist/bin. */
function offerPrograms() {
  const { bin } = JSON.parse(readFileSync(join(home, 'package.json'), 'utf8'))
  const folder = join(home, 'dist', 'bin')
  mkdirSync(folder, { recursive: true })
  for (const [name, program] of Object.entries(bin)) {
    chmodSync(join(home, program), 0o755)
    const link = join(folder, name)
    const target = relative(folder, join(home, program))
    if (existsSync(link) && readlinkSync(link) === target) continue
    rmSync(link, { force: true })
    symlinkSync(target, link)
  }
}

/** Whether a file, or anything in a folder, is newer than another file, or that one is missing. */
function newer(path, than) {
  if (!existsSync(than)) return true
  const time = statSync(than).mtimeMs
  const files = statSync(path).isDirectory()
    ? readdirSync(path, { recursive: true, withFileTypes: true }).map((entry) =>
        join(entry.parentPath, entry.name),
      )
    : []
  return [path, ...files].some((file) => statSync(file).mtimeMs > time)
}
