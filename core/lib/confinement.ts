import { execFile } from 'node:child_process'
import { mkdir, mkdtemp, realpath, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { SystemError } from '../errors.js'
import { printable } from '../log/printable.js'
import { missing, type Probe } from '../probe.js'

/** What a confined program finds of the file system, besides the system's own programs and libraries. */
export interface Places {
  /** Where it starts; within one of the others. */
  readonly cwd: string
  readonly writable: readonly string[]
  readonly readable: readonly string[]
  /** Directories of which nothing else is to be found, even where they lie among the system's programs. */
  readonly hidden: readonly string[]
}

/** How programs are confined on this machine. */
export type Confinement =
  | { readonly layer: 'bubblewrap' }
  | { readonly layer: 'none'; readonly why: string; readonly hint: string }

/** Where Linux has programs and their libraries, and keeps no data of users. */
const system = ['/usr', '/bin', '/sbin', '/lib', '/lib32', '/lib64', '/libx32', '/etc/ld.so.cache']

/** Milliseconds for a program of a trial. */
const patience = 10_000

/**
 * The words that start a program with nothing in sight but some places: no other files, processes, or networks.
 *
 * bwrap(1) ends at SIGTERM and takes its program along, which could then not clean up: so it starts with that signal
 * ignored, and the program, which minds it, ends first. Capabilities that systemd gives this server are laid down
 * before, since bwrap refuses to run with any.
 */
export function confinedWords({ cwd, writable, readable, hidden }: Places): string[] {
  // What is both is writable: a later mount covers an earlier one.
  const bind = (how: string, paths: readonly string[]) => paths.flatMap((path) => [how, path, path])
  return [
    ...['sh', '-c', 'trap "" TERM; exec "$@"', 'sh'],
    ...['setpriv', '--ambient-caps=-all', '--inh-caps=-all'],
    ...['bwrap', '--unshare-all', '--die-with-parent'],
    ...bind('--ro-bind-try', system),
    ...hidden.filter(isInSystem).flatMap((path) => ['--tmpfs', path]),
    ...bind('--ro-bind', readable),
    ...bind('--bind', writable),
    ...['--chdir', cwd, '--'],
  ]
}

const isInSystem = (path: string): boolean => system.some((folder) => path.startsWith(`${folder}/`))

/** bwrap, and what starts it. */
const programs = { bwrap: 'bubblewrap', setpriv: 'util-linux' } as const

/**
 * Tries whether a program can be confined on this machine: it must run, read what it may, and not find a file beside.
 * @param folder where the trial makes a directory of its own and removes it
 * @param trial a command that must succeed when it is confined
 */
export async function findConfinement(folder: string, trial: readonly string[]): Promise<Confinement> {
  for (const [name, debian] of Object.entries(programs)) {
    const lack = await missing(name, { package: debian })
    if (lack !== undefined) return { layer: 'none', why: lack.message, hint: lack.hint ?? '' }
  }
  const top = await realpath(await mkdtemp(join(folder, 'confinement-')))
  try {
    const [own, other] = [join(top, 'own'), join(top, 'other')]
    for (const place of [own, other]) {
      await mkdir(place)
      await writeFile(join(place, 'file'), place)
    }
    const words = confinedWords({ cwd: own, writable: [own], readable: [], hidden: [top] })
    const mine = await run([...words, 'cat', join(own, 'file')])
    if (!mine.isWell || mine.out !== own) return unable(`bubblewrap does not work here: ${mine.said}`)
    const tried = await run([...words, ...trial])
    if (!tried.isWell) return unable(`${trial[0]} does not run in bubblewrap: ${tried.said}`)
    const theirs = await run([...words, 'cat', join(other, 'file')])
    return theirs.isWell ? unable('bubblewrap does not hide files here') : { layer: 'bubblewrap' }
  } finally {
    await rm(top, { recursive: true, force: true })
  }
}

/** For `check`, and a warning at start: whether a program can be confined. */
export const confinement = (trial: readonly string[]): Probe => ({
  what: `confinement of ${trial[0]}`,
  advice: true,
  async look() {
    const found = await findConfinement(tmpdir(), trial)
    if (found.layer !== 'none') return undefined
    return new SystemError('UNAVAILABLE', `${trial[0]} cannot be confined: ${found.why}`, {
      hint: found.hint,
    })
  },
})

const unable = (why: string): Confinement => ({
  layer: 'none',
  why,
  hint: 'let this user make user namespaces: in a container, or by AppArmor, they may be forbidden',
})

interface Tried {
  readonly isWell: boolean
  readonly out: string
  /** The first line of what it said of its failure. */
  readonly said: string
}

function run([program = '', ...args]: readonly string[]): Promise<Tried> {
  const options = {
    timeout: patience,
    killSignal: 'SIGKILL',
    env: { PATH: process.env.PATH ?? '/usr/bin:/bin', LC_ALL: 'C' },
    cwd: '/',
  } as const
  return new Promise((resolve) => {
    execFile(program, args, options, (error, out, said) => {
      const line = said.split('\n')[0] || error?.message || 'no reason given'
      resolve({ isWell: error === null, out, said: printable(line).slice(0, 200) })
    })
  })
}
