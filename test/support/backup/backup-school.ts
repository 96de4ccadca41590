import { type ChildProcess, spawn } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import file, { type Test } from 'tap'
import type { SnapshotFacts } from '../../../plugins/backup/archive/holdings.js'
import type { JournalStatus } from '../../../plugins/backup/public.js'
import { remotePath, remoteShell, type Transfer } from '../../../sugaroid/backup/transfer.js'
import {
  type Account,
  datastoreOf,
  type KeyType,
  makeJournal,
  openAccount,
  registerLaptop,
} from '../../../sugaroid/index.js'
import { cliHere } from '../core/cli-here.js'
import { cli, type Finished, type Owner, type Server, startServer, until } from '../core/server-process.js'
import { freePorts } from '../free-port.js'
import { putHostKeys } from '../host-keys.js'
import { needs } from '../needs.js'
import { serverAt } from '../sugaroid/registrants.js'
import { temporaryDirectory } from '../temporary-directory.js'

export type { Account, Finished, Server, Transfer }

/** Whether the programs of a backup are there; the test is skipped where they are not. */
export const canBackUp = (t: Pick<Test, 'fail' | 'pass'>): boolean =>
  needs(t, 'rsync', 'rsync') && needs(t, 'ssh', 'openssh-client')

/** A server with backups that keeps its root and its ports from one start to the next. */
export interface School {
  readonly root: string
  /** Where the backups lie. */
  readonly archive: string
  readonly ports: { readonly http: number; readonly id: number; readonly ssh: number }
  /** The one that runs now. */
  server: Server
  /** Starts it again, perhaps with other options. */
  start(more?: readonly string[]): Promise<Server>
  /** `sugar-server backup WORDS`, a process of its own. */
  backup(...words: string[]): Promise<Finished>
  /** The same command to the server that runs, by the same code, but in the process of the test: that is quick. */
  ask(...words: string[]): Promise<Finished>
  /** The first time that a command is used a process, as `backup`; from then on as `ask`. */
  say(...words: string[]): Promise<Finished>
  snapshots(uid: string): Promise<SnapshotFacts[]>
  list(): Promise<JournalStatus[]>
  /** The backup's part of `status`. */
  status(): Promise<Status>
}

export interface Status {
  slots: number
  running: number
  reserved: number
  inLine: number
  sessions: { uid: string; what: string }[]
  flagged: { uid: string; flag: string; why: string }[]
}

export interface SchoolOptions {
  args?: readonly string[]
  root?: string
  /** The port of ssh, where it is not the server's own. */
  ssh?: number
  /** Where the backups lie, when not in the root. */
  archive?: string
  /** Of the server. */
  env?: Record<string, string>
  /** Percentage of the disk that is kept free; 0 when not said, for the disk of a test may be full of other things. */
  reserve?: number
}

export async function openSchool(t: Owner, options: SchoolOptions = {}): Promise<School> {
  const { args = [], root, ssh, reserve = 0, env = {} } = options
  const [http = 0, id = 0, own = 0] = await freePorts(3)
  const home = root ?? join(await temporaryDirectory(t), 'root')
  const archive = options.archive ?? join(home, 'backup')
  const ports = { http, id, ssh: ssh ?? own }
  const room = ['--backup-path', archive, '--backup-reserve', String(reserve)]
  const start = (more: readonly string[]) =>
    startServer(t, { root: home, env, args: [...settings(ports), ...room, ...args, ...more] })
  const backup = (...words: string[]) => cli(t, ['backup', ...words, '--root', home])
  const emptyHome = await temporaryDirectory(t)
  const ask = (...words: string[]): Promise<Finished> =>
    isUp(school.server)
      ? cliHere(t, ['backup', ...words, '--root', home, '--plugins', 'id,backup'], { home: emptyHome })
      : backup(...words)
  const said = new Set<string>()
  const json = async <R>(...words: string[]): Promise<R> => {
    const { code, out, err } = await ask(...words, '--json')
    if (code !== 0) throw new Error(`backup ${words.join(' ')} ended with ${code}: ${err}`)
    return JSON.parse(out) as R
  }
  await putHostKeys(home)
  const school: School = {
    root: home,
    archive,
    ports,
    server: await start([]),
    async start(more = []) {
      school.server = await start(more)
      return school.server
    },
    backup,
    ask,
    say(...words) {
      const form = `${words[0]} ${words.includes('--json')}`
      const isKnown = said.has(form)
      said.add(form)
      return isKnown ? ask(...words) : backup(...words)
    },
    snapshots: (uid) => json('snapshots', uid),
    list: () => json('list'),
    async status() {
      const { reports } = await school.server.status()
      return reports?.backup?.facts as unknown as Status
    },
  }
  return school
}

/** Whether a server runs that was not told to end. */
const isUp = ({ child }: Server): boolean =>
  child.exitCode === null && child.signalCode === null && !child.killed

/**
 * One school for all tests of a file that want no other settings.
 * @returns opens it, or gives the one that is open
 */
export function sharedSchool(options: SchoolOptions = {}): () => Promise<School> {
  let school: Promise<School> | undefined
  return () => {
    school ??= openSchool(file, options)
    return school
  }
}

const settings = ({ http, id, ssh }: School['ports']): string[] => [
  ...['--plugins', 'id,backup', '--host', '127.0.0.1', '--hostname', '127.0.0.1'],
  ...['--httpd-port', String(http), '--id-port', String(id), '--backup-ssh-port', String(ssh)],
  // This machine has other work than that of this test.
  ...['--registration-limit', '0', '--backup-load', '1000'],
]

/** A learner with a registered laptop. */
export interface Learner {
  readonly home: string
  readonly uid: string
  readonly serial: string
  readonly datastore: string
  readonly account: Account
}

interface Person {
  key?: KeyType
  nick?: string
  /** Of the Journal; none is made when it is not said. */
  entries?: number
  /** Megabytes of data in it. */
  megabytes?: number
  seed?: string
  home?: string
}

let made = 0

/** Registers a laptop, and makes it a Journal. */
export async function enrolLearner(t: Owner, school: School, person: Person = {}): Promise<Learner> {
  made += 1
  const { key = 'ed25519', nick = `Learner ${made}`, entries, megabytes = 0, seed = `${made}` } = person
  const home = person.home ?? (await temporaryDirectory(t))
  const serial = `SHC${String(made).padStart(8, '0')}`
  const uuid = `00000000-0000-4000-8000-${String(made).padStart(12, '0')}`
  const { result } = await registerLaptop(home, {
    server: serverAt(`http://127.0.0.1:${school.ports.id}`),
    ...{ key, nick, serial, uuid },
  })
  if (result.outcome !== 'registered') throw new Error(`the laptop was not registered: ${result.outcome}`)
  const account = await openAccount(home)
  const datastore = datastoreOf(home)
  if (entries === undefined) await mkdir(datastore, { recursive: true })
  else await makeJournal(datastore, { entries, megabytes, seed })
  return { home, uid: account.identity.uid, serial: account.serial, datastore, account }
}

/** An rsync of a laptop, while it runs; it and its ssh are one process group. */
export type Running = Promise<Transfer> & { readonly child: ChildProcess }

/** Runs rsync at a laptop, as a person at a command line would. Paths are relative to its home. */
export function rsync({ home, account }: Learner, ...args: string[]): Running {
  const { PATH = '' } = process.env
  const child = spawn('rsync', ['-e', remoteShell(account), ...args], {
    cwd: home,
    env: { PATH, LC_ALL: 'C' },
    stdio: ['ignore', 'ignore', 'pipe'],
    detached: true,
  })
  let said = ''
  child.stderr.setEncoding('latin1').on('data', (text: string) => {
    said += text
  })
  const ended = new Promise<Transfer>((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (code) => resolve({ code: code ?? 20, said }))
  })
  return Object.assign(ended, { child })
}

/** `USER@HOST:PATH` of a laptop's backup. */
export const remote = ({ account }: Learner, path: string): string =>
  `${account.place.user}@${remotePath(account, path)}`

/** Sends a Journal, without having asked. */
export const push = (learner: Learner, ...more: string[]) =>
  rsync(
    learner,
    '-rlt',
    '-p',
    '--delete',
    '--partial',
    ...more,
    'default/datastore/',
    remote(learner, 'current'),
  )

/** Fetches what is kept at a path into a directory of the laptop. */
export const pull = (learner: Learner, path: string, to: string, ...more: string[]) =>
  rsync(learner, '-rlt', '-p', '--delete', ...more, remote(learner, `${path}/`), `${to}/`)

/** Waits until nothing is under way, and nothing of it is left. */
export async function quiet(school: School): Promise<void> {
  await until(async () => {
    const { running, sessions } = await school.status()
    return running === 0 && sessions.length === 0 && names(join(school.archive, 'scratch')).length === 0
  }, 'the backups to end')
}

export const names = (folder: string): string[] => readdirSync(folder).sort()
