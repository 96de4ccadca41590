// npm test: sets up, then everything that must hold: format and lint, imports between rooms, tests with coverage.
// Closes with a line "N passed, N failed"; the guards count as one test each.
import { spawn, spawnSync } from 'node:child_process'
import { createInterface } from 'node:readline'
import { installPackages } from './packages.mjs'
import { home, setUp, tool } from './setup.mjs'

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

/** Runs one guard. @returns whether it holds */
function holds(name, args) {
  console.log(`\n# ${name}`)
  return spawnSync(tool(args[0]), args.slice(1), { cwd: home, stdio: 'inherit' }).status === 0
}

/** Runs tap. @returns the counts of its closing line, and whether it was content */
async function tests(files) {
  console.log('\n# tests')
  const whole = files.length === 0
  const child = spawn(
    tool('tap'),
    ['run', '--reporter=tap', ...(whole ? [] : ['--disable-coverage', ...files])],
    {
      cwd: home,
      stdio: ['ignore', 'pipe', 'inherit'],
    },
  )
  const isWorthReading = reader()
  let closing = ''
  for await (const line of createInterface(child.stdout)) {
    if (/^# \{ total: \d+.*\}$/.test(line)) closing = line
    if (isWorthReading(line)) console.log(line)
  }
  const code = await new Promise((resolve) =>
    child.exitCode === null ? child.once('close', resolve) : resolve(child.exitCode),
  )
  const count = (what) => Number(new RegExp(`${what}: (\\d+)`).exec(closing)?.[1] ?? 0)
  return { pass: count('pass'), fail: count('fail'), skip: count('skip'), content: code === 0 }
}

const isCoverageOfFolder = (line) => line.includes(' | ') && !/^\s*\S+\.m?[jt]s /.test(line)

/** tap says much. Files, failures with their stories, skips and the coverage are worth reading. */
function reader() {
  let failing = false
  return (line) => {
    if (/^\s*(?:not )?ok /.test(line)) failing = line.includes('not ok')
    return failing || /^ok /.test(line) || line.includes('# SKIP') || isCoverageOfFolder(line)
  }
}

setUp()
installPackages('some tests will be skipped; to run them too', programs, libraries)
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
