import { mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pino } from 'pino'
import type { Test } from 'tap'
import { removeTree } from '../../../core/api.js'
import { NedbStore } from '../../../core/store/nedb/store.js'
import { Slots } from '../../../plugins/backup/admission/slots.js'
import { Flusher } from '../../../plugins/backup/session/flusher.js'
import { Keeper } from '../../../plugins/backup/session/keeper.js'
import { collections, Ledger } from '../../../plugins/backup/session/ledger.js'
import { Marks } from '../../../plugins/backup/session/marks.js'
import { Processes } from '../../../plugins/backup/session/processes.js'
import type { Runner } from '../../../plugins/backup/session/runner.js'
import type { Session } from '../../../plugins/backup/session/session.js'
import { LiveSessions } from '../../../plugins/backup/session/sessions.js'
import { Turns } from '../../../plugins/backup/session/turns.js'
import { archivistOf, learner, newArchive } from './test-archive.js'

const log = pino({ level: 'silent' })
const never = new AbortController().signal
/** Whose sessions these are. */
export const uid = learner(1)
const rules = { last: 10, daily: 0, weekly: 0, monthly: 0 }

const runner: Runner = {
  version: { version: [3, 5, 0], protocol: 32 },
  confinement: { layer: 'none', why: 'not tried', hint: '' },
  limits: { memory: 256 << 20, cpu: 60 },
  pace: { idle: 60_000, start: 60_000, rate: 1, total: 60_000 },
}

/** Sessions as the service has them, and what they work with. */
export async function school(
  t: Test,
  {
    quota = 0,
    root = mkdtempSync(join(tmpdir(), 'sugar-sessions-')),
    sync = undefined as ((path: string, signal: AbortSignal) => Promise<void>) | undefined,
    longest = 60_000,
  } = {},
) {
  t.teardown(() => removeTree(root))
  const layout = newArchive(t, root)
  const store = new NedbStore(join(root, 'store'), log)
  t.teardown(() => store.close())
  const ledger = await Ledger.open(await store.open('backup/ledger', collections.ledger))
  const archivist = archivistOf(t, layout)
  const marks = new Marks(root)
  const turns = new Turns()
  const slots = new Slots(1)
  const keeper = new Keeper({
    ...{ archivist, ledger, marks, turns, rules, log, quota },
    live: (one) => layout.live(one),
    grew: () => undefined,
    tell: () => undefined,
  })
  const flusher = new Flusher(root, {
    ...{ log, longest, failed: () => marks.doubtAll() },
    ...(sync && { sync }),
  })
  const finished: string[] = []
  const sessions = new LiveSessions({
    ...{ layout, slots, turns, archivist, keeper, ledger, marks, flusher, log, quota },
    processes: new Processes(root),
    check: () => undefined,
    runner,
    finished: (_, well) => finished.push(well ? 'well' : 'badly'),
  })
  const caller = { uid, nickname: 'Ana', address: '127.0.0.1', transport: 'ssh2' } as const
  const open = (words: string) => sessions.open(caller, `rsync --server ${words}`, never)
  /** rsync has written its log, and ends. */
  const end = async (session: Session, lines: readonly string[], code = 0) => {
    const path = session.args.find((arg) => arg.startsWith('--log-file='))?.slice('--log-file='.length)
    if (path !== undefined)
      writeFileSync(path, lines.map((line) => `2026/11/20 10:11:12 [9] ${line}\n`).join(''))
    const exit = await session.ended(code)
    await Promise.all(sessions.visits.map(({ over }) => over))
    await keeper.settled()
    return exit
  }
  const snapshots = async () => (await archivist.run('snapshots', { uid })).map(({ id }) => id)
  return {
    ...{ root, layout, ledger, archivist, marks, flusher, slots, keeper, sessions, finished },
    ...{ open, end, snapshots },
  }
}

export const push = '-ltre.iLsfxCIvu --delete . datastore-current'
/** The line of rsync's log that says that all has come. */
export const over = 'sent 17 bytes  received 74 bytes  total size 3000000'
