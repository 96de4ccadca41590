// npm test: sets up, then everything that must hold: format and lint, imports between rooms, each test file.
// Closes with a line "N passed, N failed"; the guards count as one test each. npm test -- PART... runs the test files
// with PART in their path, and no guards. --coverage measures what the tests run, and holds the thresholds; --soak runs
// all rounds of tests with chance in them.
import { spawnSync } from 'node:child_process'
import { randomInt } from 'node:crypto'
import { installPackages } from './packages.mjs'
import { home, setUp, tool } from './setup.mjs'
import { rememberSeconds, testFiles } from './tests/order.mjs'

/** Programs that tests need, and the Debian packages that bring them. */
const programs = {
  python3: 'python3',
  'ssh-keygen': 'openssh-client',
  strace: 'strace',
  'systemd-notify': 'systemd',
  'glib-compile-schemas': 'libglib2.0-bin',
  script: 'bsdutils',
  bwrap: 'bubblewrap',
  rsync: 'rsync',
  sshd: 'openssh-server',
  ssh: 'openssh-client',
  dbclient: 'dropbear-bin',
  unzip: 'unzip',
  gpg: 'gpg',
  'gpg-agent': 'gpg-agent',
  gpgv: 'gpgv',
  nc: 'netcat-openbsd',
  setfattr: 'attr',
  fakeroot: 'fakeroot',
  xz: 'xz-utils',
  bzip2: 'bzip2',
  'mkfs.ext4': 'e2fsprogs',
  faketime: 'faketime',
  openssl: 'openssl',
}

/** Packages without a program of their own: the system's Python needs them to run Sugar's code. */
const libraries = ['python3-gi']

/** What must hold of the sources. */
const guards = {
  'format and lint': ['biome', 'check', '--error-on-warnings', '.'],
  'imports between rooms': [
    'depcruise',
    '--config',
    '.dependency-cruiser.cjs',
    'core',
    'plugins',
    'sugaroid',
  ],
}

function guard() {
  return Object.entries(guards).map(([name, [program, ...args]]) => {
    console.log(`\n# ${name}`)
    return { name, holds: spawnSync(tool(program), args, { cwd: home, stdio: 'inherit' }).status === 0 }
  })
}

setUp()
// Not before: it uses packages that a fresh clone does not have yet.
const { close, runFiles } = await import('./tests/run.mjs')
installPackages('some tests will be skipped; to run them too', programs, libraries)
const modes = process.argv.slice(2).filter((word) => word.startsWith('--'))
const parts = process.argv.slice(2).filter((word) => !word.startsWith('--'))
const strange = modes.filter((mode) => !['--coverage', '--soak'].includes(mode))
if (strange.length > 0) {
  console.error(`unknown: ${strange.join(' ')}`)
  process.exit(64)
}
const isSoak = modes.includes('--soak')
const files = testFiles(parts)
if (files.length === 0) console.error(`no test file has ${parts.join(' or ')} in its path`)
const held = parts.length === 0 ? guard() : []
const seed = process.env.TEST_SEED ?? String(randomInt(1_000_000))
console.log(`\n# tests: ${files.length} files, seed ${seed} (TEST_SEED=${seed} repeats this run)`)
const common = { TEST_SEED: seed, ...(isSoak && { SOAK: '1' }) }
let results
if (modes.includes('--coverage')) {
  const { beginCoverage, coverageEnv, coverageHolds, keepCoverage } = await import('./tests/coverage.mjs')
  beginCoverage()
  results = await runFiles(files, {
    envOf: (number) => ({ ...common, ...coverageEnv(number) }),
    after: keepCoverage,
  })
  if (process.exitCode === undefined) {
    console.log('\n# coverage')
    const isHigh = await coverageHolds()
    // Some files alone reach only a part of the code.
    if (parts.length === 0) held.push({ name: 'coverage', holds: isHigh })
  }
} else {
  // All rounds of a story with chance in it take many times as long.
  results = await runFiles(files, { envOf: () => common, ...(isSoak && { deadline: 7_200_000 }) })
}
rememberSeconds(results)
process.exitCode = close(results, held) || process.exitCode
