import { existsSync, readdirSync } from 'node:fs'
import { tmpdir, userInfo } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import {
  type Chapter,
  type Context,
  type Logger,
  makeFolderSync,
  RequestError,
  removeTree,
  type Story,
} from '../../core/api.js'
import { adviceOn, type Enrolment, type Learner, type Users } from '../id/public.js'
import { Admission } from './admission/admission.js'
import { serveAdmission } from './admission/routes.js'
import { Slots } from './admission/slots.js'
import { Archivist } from './archive/archivist.js'
import { Layout, temporaryOfLive } from './archive/layout.js'
import { Objects } from './archive/objects.js'
import { Share } from './archive/share.js'
import { ArchiveDirectory, backupDirectory } from './archive-directory.js'
import type { Desk } from './commands/desk.js'
import { factsOf } from './facts.js'
import { KeptJournals } from './journals.js'
import { Maintenance } from './maintenance.js'
import type { options } from './options.js'
import { Backup } from './public.js'
import { Flusher } from './session/flusher.js'
import { Keeper } from './session/keeper.js'
import { forgetLearner } from './session/leave.js'
import { type collections, Ledger } from './session/ledger.js'
import { Marks } from './session/marks.js'
import { Processes } from './session/processes.js'
import { confinementLine, findRunner, type Runner } from './session/runner.js'
import { LiveSessions } from './session/sessions.js'
import { Turns } from './session/turns.js'
import { chapterOf, statusOf } from './status.js'
import type { Transport } from './transport/transport.js'

type None = Record<never, never>
export type BackupContext = Pick<
  Context<typeof options, { users: typeof Users }, None, typeof collections, None>,
  | 'config'
  | 'log'
  | 'needs'
  | 'store'
  | 'http'
  | 'listen'
  | 'boundPort'
  | 'signal'
  | 'tell'
  | 'on'
  | 'every'
  | 'defer'
  | 'health'
>

/** How a laptop is told where its Journal goes; the name is one that rsync finds in the learner's live tree. */
const place = 'current'

const million = 1e6

/** Seconds between two looks whether the disk of the backups has gone or come back. */
const lookEvery = 5

/** Milliseconds that the disk has at the end, before the machine may be switched off. */
const longestRest = 20_000

/** What the lines of authorized_keys run. */
const program = fileURLToPath(new URL('../../core/bin/sugar-server.js', import.meta.url))

interface Parts {
  layout: Layout
  processes: Processes
  runner: Runner
  marks: Marks
  ledger: Ledger
}

/** The parts of backup, put together. */
export class Service {
  readonly desk: Desk
  readonly #ctx: BackupContext
  readonly #sessions: LiveSessions
  readonly #runner: Runner
  readonly #admission: Admission
  readonly #flusher: Flusher
  #transport: Transport | undefined

  /** Makes it ready for commands, and for laptops once the sockets are bound. */
  static async open(ctx: BackupContext): Promise<Service> {
    const guard = backupDirectory.guard(ctx.config)
    const layout = new Layout(guard.path)
    const processes = new Processes(layout.root, { make: false })
    const marks = new Marks(layout.root, { make: false })
    const ledger = await Ledger.open(ctx.store.ledger)
    const archive = new ArchiveDirectory(guard, async () => {
      const left = await processes.endAll()
      if (left > 0) ctx.log.warn({ left }, 'ended programs that an earlier run had left behind')
      await removeTree(layout.scratch).catch((error: unknown) =>
        // What is made there bears names of its own.
        ctx.log.error({ err: error }, `${layout.scratch} could not be emptied`),
      )
      for (const folder of [layout.scratch, layout.objects, layout.lives, layout.allSnapshots])
        makeFolderSync(folder)
      for (const name of readdirSync(layout.lives))
        await removeTree(join(layout.lives, name, temporaryOfLive))
      marks.prepare()
      processes.prepare()
      await forgetLost(ledger, layout, ctx.log)
    })
    const isThere = await archive.open()
    // Tried in a directory that is there, whether the archive is or not.
    const runner = await findRunner(tmpdir())
    const service = new Service(ctx, archive, { layout, processes, runner, marks, ledger })
    await service.#open()
    // Commands with the doors shut wait for it too, and give what a laptop was told is safe.
    if (isThere) service.desk.keeper.catchUp()
    return service
  }

  private constructor(
    ctx: BackupContext,
    archive: ArchiveDirectory,
    { layout, processes, runner, marks, ledger }: Parts,
  ) {
    const { config, log, needs } = ctx
    const { users } = needs
    const turns = new Turns()
    this.#flusher = new Flusher(layout.root, { log, failed: () => marks.doubtAll() })
    const slots = new Slots(config['backup-slots'])
    const archivist = new Archivist(
      layout.root,
      log,
      (pid) => processes.note(pid),
      () => archive.check(),
    )
    const share = new Share(archivist, ledger, config['backup-quota-all'] * million)
    const quota = config['backup-quota'] * million
    const rules = {
      last: config['backup-keep-last'],
      daily: config['backup-keep-daily'],
      weekly: config['backup-keep-weekly'],
      monthly: config['backup-keep-monthly'],
    }
    const keeper = new Keeper({
      archivist,
      ledger,
      marks,
      turns,
      rules,
      log,
      quota,
      sharing: async (uid) => {
        const learner = await users.byUid(uid)
        return learner?.flags.includes('shared-key') === true ? adviceOn('shared-key', learner) : undefined
      },
      live: (uid) => layout.live(uid),
      grew: (added) => share.grew(added),
      tell: (kept) => ctx.tell(Backup.kept, kept),
    })
    const journals = new KeptJournals({
      users,
      archivist,
      keeper,
      ledger,
      objects: new Objects(layout.objects),
    })
    const measured = () => share.measure()
    this.desk = { users, journals, archivist, keeper, ledger, marks, turns, layout, rules, log, measured }
    this.#ctx = ctx
    this.#runner = runner
    const facts = factsOf({
      users,
      ledger,
      marks,
      path: layout.root,
      reserve: config['backup-reserve'],
      overall: () => share.problem(),
      away: () => archive.problem()?.message,
      isKept: ({ uid, snapshot }) => isKept(layout, uid, snapshot),
      draining: () => ctx.signal.aborted,
    })
    this.#admission = new Admission(facts, slots, config['backup-load'])
    this.#sessions = new LiveSessions({
      ...{ layout, slots, turns, archivist, keeper, ledger, marks, processes, runner, log, quota },
      check: () => mustBeThere(archive),
      flusher: this.#flusher,
      finished: (uid, well, ms) => {
        if (well) this.#admission.finished(uid, ms)
      },
    })
    const maintenance = new Maintenance(this.desk, config['backup-drill'], () => this.#sessions.visits.length)
    ctx.on('ready', async () => {
      let wasThere = archive.problem() === undefined
      if (wasThere) await share.measure()
      ctx.every(600, async () => {
        if (archive.problem() !== undefined) return
        keeper.catchUp()
        await maintenance.look()
      })
      ctx.every(lookEvery, async () => {
        const isThere = await archive.open()
        if (isThere === wasThere) return
        wasThere = isThere
        const problem = archive.problem()
        if (problem !== undefined) log.error({ code: problem.code, hint: problem.hint }, problem.message)
        if (!isThere) return
        log.warn(`the backups are there again: ${archive.path}`)
        await share.measure()
        keeper.catchUp()
      })
    })
    ctx.health('archive', () =>
      archive.isAway || archive.isPrepared ? undefined : archive.problem()?.message,
    )
    ctx.health('space', () => (archive.problem() === undefined ? facts.space() : undefined))
    ctx.health('room soon', () => share.warning())
    ctx.health('flush', () => this.#flusher.problem)
  }

  /** What a laptop is told at its registration (docs/reference/protocols.md: backup, The register reply). */
  enrolment({ uid }: Pick<Learner, 'uid'>): Enrolment {
    const { hostname, 'backup-transport': transport } = this.#ctx.config
    // OpenSSH lets nobody in but accounts of the machine; by the key it is told who comes.
    const user = transport === 'sshd' ? userInfo().username : uid
    return {
      backupurl: `${user}@${hostname}:${place}`,
      backuppath: place,
      config: {
        'backup-url': `ssh://${user}@${hostname}:${this.#ctx.boundPort('backup-ssh-port')}/${place}`,
        'backup-port': String(this.#ctx.boundPort('httpd-port')),
      },
    }
  }

  /** Takes away all that is kept of a learner. */
  forget(uid: string): Promise<void> {
    return forgetLearner(uid, this.desk)
  }

  status(): Chapter {
    const confined = confinementLine(this.#runner)
    return statusOf(this.#admission, this.#sessions, this.desk.ledger, this.#transport, confined)
  }

  async explain(wanted: string): Promise<Partial<Story> | undefined> {
    const [only, ...others] = await this.desk.users.find(wanted)
    if (only === undefined || others.length > 0) return undefined
    return { backup: chapterOf(only.uid, this.#admission, this.desk.ledger) }
  }

  /** Lines for an OpenSSH that reads them from a file. */
  async authorizedKeys(): Promise<string[]> {
    const { authorizedKeysLine } = await import('./transport/sshd/authorized-keys.js')
    const lines: string[] = []
    for await (const { pubkey, uid } of this.desk.users.keys())
      lines.push(authorizedKeysLine({ program, root: this.#ctx.config.root, uid, pubkey }))
    return lines
  }

  async #open(): Promise<void> {
    const { config, http, on, defer } = this.#ctx
    serveAdmission(http.router, this.#admission)
    if (config['backup-xs-port'] > 0) serveAdmission(http.listener('backup-xs-port'), this.#admission)
    defer(() => this.#flushRest())
    defer(() => this.desk.archivist.close())
    defer(() => this.#transport?.close())
    // Before the connections close: laptops are told why.
    defer(() => this.#sessions.close())
    await (config['backup-transport'] === 'ssh2' ? this.#openSsh2() : this.#openSshd())
    on('drain', () => this.#sessions.drain())
  }

  /** What broken sessions left need not be doubted when the machine is switched off now, as it should be. */
  async #flushRest(): Promise<void> {
    const { marks, log } = this.desk
    const uids = marks.unflushed()
    if (uids.length === 0) return
    try {
      await this.#flusher.flush(AbortSignal.timeout(longestRest))
      for (const uid of uids) await marks.flushed(uid, marks.get(uid))
    } catch (error) {
      log.warn({ err: error }, 'what broken sessions left is not certain to be on the disk')
    }
  }

  async #openSsh2(): Promise<void> {
    const { openSsh2 } = await import('./transport/ssh2/server.js')
    const { users } = this.desk
    const transport = await openSsh2({
      keys: join(this.#ctx.config.root, 'ssh'),
      sessions: this.#sessions,
      byKey: (blob) => users.byKey(blob),
      log: this.#ctx.log,
    })
    this.#transport = transport
    this.#ctx.listen('backup-ssh-port', transport.server)
  }

  async #openSshd(): Promise<void> {
    const [{ openSshd }, { noDsa, takesDsa }] = await Promise.all([
      import('./transport/sshd/server.js'),
      import('./transport/sshd/openssh.js'),
    ])
    const { config, log, on, every } = this.#ctx
    // A command with its doors shut serves no laptop.
    on('ready', async () => {
      this.#transport = await openSshd({
        root: config.root,
        program,
        sessions: this.#sessions,
        laptops: this.desk.users,
        log,
        remark: (await takesDsa()) === false ? noDsa : undefined,
      })
      const file = config['backup-authorized-keys']
      if (file === '') return
      let written = ''
      const write = async () => {
        const lines = await this.authorizedKeys()
        if (lines.join('\n') === written) return
        const { writeAuthorizedKeys } = await import('./transport/sshd/authorized-keys.js')
        await writeAuthorizedKeys(file, lines)
        written = lines.join('\n')
      }
      await write()
      every(5, write)
    })
  }
}

/** Whether the archive has a snapshot that the ledger speaks of; any, where it does not say which. */
const isKept = (layout: Layout, uid: string, snapshot: string | undefined): boolean =>
  existsSync(join(layout.snapshots(uid), snapshot === undefined ? '.' : `${snapshot}.snapshot`))

/** Another archive may lie there than the one that the ledger speaks of: nothing is told of what it does not have. */
async function forgetLost(ledger: Ledger, layout: Layout, log: Logger): Promise<void> {
  const lost = ledger
    .all()
    .filter(({ uid, lastGood, snapshot }) => lastGood !== undefined && !isKept(layout, uid, snapshot))
  for (const { uid } of lost) {
    const none = { lastGood: undefined, snapshot: undefined, digest: undefined, bytes: 0, files: 0 }
    await ledger.note(uid, () => none)
  }
  if (lost.length > 0)
    log.warn(
      { learners: lost.length },
      'the archive lacks the last good backup of some learners: they have none now',
    )
}

/** @throws RequestError that a laptop is told */
function mustBeThere(archive: ArchiveDirectory): void {
  if (archive.problem() === undefined) return
  throw new RequestError('UNAVAILABLE', 'the school server cannot reach its backups now', {
    hint: 'tell your teacher, and try again later',
  })
}
