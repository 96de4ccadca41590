// npm test: sets up, then everything that must hold: format and lint, imports between rooms, tests with coverage.
// Closes with a line "N passed, N failed"; the guards count as one test each.
import { spawn, spawnSync } from 'node:child_process'
import { accessSync, constants } from 'node:fs'
import { join } from 'node:path'
import { home, setUp, tool } from './setup.mjs'

/** Programs that tests need, and the Debian packages that bring them. */
const programs = {
  python3: 'python3',
  'ssh-keygen': 'openssh-client',
  strace: 'strace',
  'systemd-notify': 'systemd',
  'glib-compile-schemas': 'libglib2.0-bin',
  script: 'bsdutils',
}

/** Packages without a program of their own: the system's Python needs them to run Sugar's code. */
const libraries = ['python3-gi']

function has(program) {
  for (const folder of (process.env.PATH ?? '').split(':')) {
    try {
      accessSync(join(folder, program), constants.X_OK)
      return true
    } catch {
      // Not here.
    }
  }
  return false
}

const installed = (name) => spawnSync('dpkg', ['-s', name], { stdio: 'ignore' }).status === 0

/** Installs what tests need, where that is possible; what is missing then skips its tests by name. */
function installPrograms() {
  const missing = [
    ...Object.entries(programs).flatMap(([program, debian]) => (has(program) ? [] : [debian])),
    ...(has('dpkg') ? libraries.filter((library) => !installed(library)) : []),
  ]
  if (missing.length === 0) return
  if (process.getuid?.() !== 0 || !has('apt-get')) {
    console.error(`some tests will be skipped; to run them too: apt-get install ${missing.join(' ')}`)
    return
  }
  console.error(`installing ${missing.join(' ')} ...`)
  const options = { stdio: ['ignore', 2, 2], env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' } }
  spawnSync('apt-get', ['update', '-q'], options)
  spawnSync('apt-get', ['install', '-qy', '--no-install-recommends', ...missing], options)
}

/** Runs one guard. @returns whether it holds */
function holds(name, args) {
  console.log(`\n# ${name}`)
  return spawnSync(tool(args[0]), args.slice(1), { cwd: home, stdio: 'inherit' }).status === 0
}

/** Runs tap. @returns the counts of its closing line, and whether it was content */
async function tests(files) {
  console.log('\n# tests')
  const whole = files.length === 0
  const reporter = ['--reporter=tap']
  const child = spawn(tool('tap'), ['run', ...reporter, ...(whole ? [] : ['--disable-coverage', ...files])], {
    cwd: home,
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  let rest = ''
  let counts = { pass: 0, fail: 0, skip: 0 }
  for await (const chunk of child.stdout) {
    const lines = (rest + chunk).split('\n')
    rest = lines.pop()
    for (const line of lines) {
      const closing = /^# \{ total: \d+.*\}$/.exec(line)
      if (closing !== null)
        counts = Object.fromEntries(
          ['pass', 'fail', 'skip'].map((key) => [
            key,
            Number(new RegExp(`${key}: (\\d+)`).exec(line)?.[1] ?? 0),
          ]),
        )
      if (worthShowing(line)) console.log(line)
    }
  }
  const code = await new Promise((resolve) =>
    child.exitCode === null ? child.once('close', resolve) : resolve(child.exitCode),
  )
  return { ...counts, content: code === 0 }
}

/** tap says much: files, failures with their stories, skips, and the coverage are worth reading. */
let story = false
function worthShowing(line) {
  if (/^\s*not ok /.test(line)) story = true
  else if (/^\s*ok /.test(line)) story = false
  return (
    story ||
    /^(?:ok|not ok) /.test(line) ||
    /# SKIP/.test(line) ||
    /^# /.test(line) ||
    (!/^\s*(?:ok|not ok|#|\d+\.\.\d+|TAP version|---|\.\.\.|\}|$)/.test(line) && !/^\s{2,}/.test(line))
  )
}

setUp()
installPrograms()
const files = process.argv.slice(2)
const guards =
  files.length > 0
    ? []
    : [
        holds('format and lint', ['biome', 'check', '--error-on-warnings', '.']),
        holds('imports between rooms', [
          'depcruise',
          '--config',
          '.dependency-cruiser.cjs',
          'core',
          'plugins',
          'sugaroid',
        ]),
      ]
const { pass, fail, skip, content } = await tests(files)
const broken = guards.filter((held) => !held).length
// Too little coverage is a failure without a failed test.
const failed = fail + broken + (!content && fail === 0 ? 1 : 0)
console.log(
  `\n${pass + guards.length - broken} passed, ${failed} failed${skip > 0 ? `, ${skip} skipped` : ''}`,
)
process.exit(failed === 0 ? 0 : 1)
