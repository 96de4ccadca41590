import {
  chmodSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { pino } from 'pino'
import t, { type Test } from 'tap'
import { removeTree } from '../../../../core/api.js'
import { NedbStore } from '../../../../core/store/nedb/store.js'
import { Slots } from '../../../../plugins/backup/admission/slots.js'
import { Flusher } from '../../../../plugins/backup/session/flusher.js'
import { DiskFull } from '../../../../plugins/backup/session/guard.js'
import { Keeper } from '../../../../plugins/backup/session/keeper.js'
import { collections, Ledger } from '../../../../plugins/backup/session/ledger.js'
import { Marks } from '../../../../plugins/backup/session/marks.js'
import { Processes } from '../../../../plugins/backup/session/processes.js'
import type { Runner } from '../../../../plugins/backup/session/runner.js'
import type { Session } from '../../../../plugins/backup/session/session.js'
import { LiveSessions } from '../../../../plugins/backup/session/sessions.js'
import { Turns } from '../../../../plugins/backup/session/turns.js'
import { wipeJournal } from '../../../../sugaroid/index.js'
import {
  archivistOf,
  asNobody,
  learner,
  newArchive,
  put,
  sentJournal,
} from '../../../support/backup/test-archive.js'

const log = pino({ level: 'silent' })
const never = new AbortController().signal
const uid = learner(1)
const rules = { last: 10, daily: 0, weekly: 0, monthly: 0 }

const runner: Runner = {
  version: { version: [3, 5, 0], protocol: 32 },
  confinement: { layer: 'none', why: 'not tried', hint: '' },
  limits: { memory: 256 << 20, cpu: 60 },
  pace: { idle: 60_000, start: 60_000, rate: 1, total: 60_000 },
}

/** Sessions as the service has them, and what they work with. */
async function school(
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
  marks.prepare()
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

const push = '-ltre.iLsfxCIvu --delete . datastore-current'
const over = 'sent 17 bytes  received 74 bytes  total size 3000000'

t.test(
  'a folder that shuts everybody out keeps neither turn nor slot from those who come next',
  async (t) => {
    await asNobody(async () => {
      const { layout, slots, open, end, snapshots } = await school(t)
      const journal = await sentJournal(layout, uid, 5, 0.1)
      await end(await open(push), ['>f+++++++++ 5', over])
      put(join(journal, 'shut'), 'file', 'x')
      chmodSync(join(journal, 'shut'), 0o555)
      await end(await open(push), ['cd+++++++++ 5', over])
      put(journal, 'later', 'x')
      await end(await open(push), ['>f+++++++++ 5', over])
      const [, shut] = await snapshots()
      const session = await open(`--sender -ltr . snapshots/${shut}/`)
      t.ok(existsSync(join(session.cwd, 'snapshots', shut ?? '', 'shut', 'file')))
      t.equal(slots.figures().running, 1)
      await end(session, [])
      t.equal(slots.figures().running, 0)
      t.same(readdirSync(layout.scratch), [])
      await t.rejects(open('--sender -ltr . snapshots/2001-01-01/'), { code: 'NOT_FOUND', hint: /latest/ })
      t.equal(slots.figures().running, 0)
      t.same(readdirSync(layout.scratch), [])
      chmodSync(join(journal, 'shut'), 0o755)
    })
  },
)

t.test('one who fills the disk gives back what he took of it, and no more', async (t) => {
  const { layout, marks, sessions, open, end, snapshots } = await school(t)
  const journal = await sentJournal(layout, uid, 5, 0.1)
  const files = () =>
    readdirSync(journal, { recursive: true, withFileTypes: true }).filter((one) => one.isFile()).length
  await end(await open(push), ['>f+++++++++ 5', over])
  const before = files()
  // Files are dated by a clock that may be some milliseconds behind.
  await sleep(50)
  const session = await open(push)
  await sleep(50)
  put(journal, 'film', 'x')
  put(journal, join('folder', 'whole'), 'x')
  t.equal(files(), before + 2)
  for (const visit of sessions.visits) visit.stop(new DiskFull())
  t.equal(await end(session, ['>f+++++++++ 5'], 20), 75)
  t.equal(files(), before)
  t.equal(marks.get(uid), 'dirty')
  t.equal((await snapshots()).length, 1)

  const other = await open(push)
  put(journal, 'film', 'x')
  t.equal(await end(other, ['>f+++++++++ 5'], 30), 30)
  t.ok(existsSync(join(journal, 'film')), 'one that broke off keeps it')
})

t.test('what a laptop was told is safe, and no snapshot has yet, is not given back', async (t) => {
  const { layout, sessions, open, end } = await school(t)
  await sentJournal(layout, uid, 3, 0.1)
  await end(await open(push), ['>f+++++++++ 5', over])
  const documents = join(layout.live(uid), 'documents')
  const fillUp = async (words: string, write: () => void) => {
    await sleep(50)
    const session = await open(words)
    await sleep(50)
    write()
    for (const visit of sessions.visits) visit.stop(new DiskFull())
    await end(session, ['>f+++++++++ 5'], 20)
  }
  const sending = '-ltr . documents'
  await fillUp(sending, () => put(documents, 'film', 'x'))
  t.same(readdirSync(documents), [], 'nobody was told of that')

  const session = await open(sending)
  put(documents, 'letter', 'x')
  t.equal(await end(session, ['>f+++++++++ 5', over]), 0)
  await fillUp(sending, () => chmodSync(join(documents, 'letter'), 0o600))
  await fillUp(push, () => chmodSync(join(documents, 'letter'), 0o644))
  await fillUp('-ltr . power-logs', () => put(layout.live(uid), join('power-logs', 'log'), 'x'))
  t.same(readdirSync(documents), ['letter'])
  t.same(readdirSync(join(layout.live(uid), 'power-logs')), ['log'], 'logs have no history')
})

t.test('a trial is no backup', async (t) => {
  const { ledger, marks, finished, open, end, snapshots } = await school(t)
  for (const trial of ['-nltr', '-ltr --list-only']) {
    const session = await open(`${trial} --delete . datastore-current`)
    t.equal(marks.get(uid), undefined)
    t.equal(await end(session, ['>f+++++++++ 5', over]), 0)
  }
  t.same([marks.get(uid), ledger.get(uid), finished, await snapshots()], [undefined, undefined, [], []])
})

t.test(
  'work whose snapshot was due when the machine went down is kept before it is written over',
  async (t) => {
    const { root, layout, ledger, marks, keeper, open, end, snapshots } = await school(t)
    await sentJournal(layout, uid, 5, 0.1)
    writeFileSync(join(root, 'marks', uid), 'whole another-boot')
    keeper.catchUp()
    await keeper.settled()
    t.equal((await snapshots()).length, 1)
    t.equal(marks.get(uid), 'dirty', 'and what lies there is not believed')
    t.match(ledger.get(uid), { files: /\d/ })

    put(join(layout.live(uid), 'datastore-current'), 'more', 'more')
    writeFileSync(join(root, 'marks', uid), 'whole another-boot')
    const session = await open(push)
    t.equal((await snapshots()).length, 2, 'also when the laptop is quicker')
    await end(session, [over])
    t.equal((await snapshots()).length, 2)
    t.equal(marks.get(uid), undefined)
  },
)

t.test('what the brake held is given, and flagged, though a crash kept it from the ledger', async (t) => {
  const { layout, ledger, archivist, keeper, open, end } = await school(t)
  const journal = await sentJournal(layout, uid, 8, 0.1)
  await end(await open(push), ['>f+++++++++ 5', over])
  const isLink = async () => {
    const session = await open('--sender -ltr . snapshots/latest/')
    const is = session.args.includes('--copy-dirlinks')
    await end(session, [])
    return is
  }
  t.ok(await isLink(), 'the newest lies there already')
  await wipeJournal(journal)
  await archivist.run('snapshot', { uid })
  t.notOk(await isLink(), 'a wiped one is not what is wanted')
  await keeper.keep(uid)
  t.match(ledger.get(uid)?.flags, [{ flag: 'mass-change', why: /is on hold/ }])
})

t.test('nothing changed is believed of a whole log only', async (t) => {
  const { layout, marks, open, end } = await school(t)
  await sentJournal(layout, uid, 3, 0.1)
  await end(await open(push), ['>f+++++++++ 5', over])
  t.equal(marks.get(uid), undefined)
  t.equal(await end(await open(push), ['receiving file list'], 11), 11)
  t.equal(marks.get(uid), 'dirty')
  t.equal(await end(await open(push), [over]), 0)
  t.equal(marks.get(uid), undefined)
  t.equal(await end(await open('-ltr . documents'), ['receiving file list'], 11), 11)
  t.equal(marks.get(uid), 'aside')
})

t.test('whatever a learner has counts, and what came too fast to be stopped is not kept', async (t) => {
  const { layout, finished, open, end, snapshots } = await school(t, { quota: 1_000_000 })
  await sentJournal(layout, uid, 3, 0.1)
  const logs = await open('-ltr . power-logs')
  put(layout.live(uid), 'power-logs', '')
  truncateSync(join(layout.live(uid), 'power-logs'), 1_500_000)
  t.equal(await end(logs, ['>f+++++++++ 1500000', over]), 75)
  t.equal(await end(await open(push), ['>f+++++++++ 5', over]), 75)
  t.same([finished, await snapshots()], [['badly'], []])
  truncateSync(join(layout.live(uid), 'power-logs'), 0)
  t.equal(await end(await open(push), [over]), 0)
  t.equal((await snapshots()).length, 1)
})

t.test('a marker is a small file in the place of one', async (t) => {
  const { layout, marks, open, end } = await school(t)
  const session = await open('-ltr -T /tmp . /var/lib/ds-backup/completion/SHC00000000')
  t.ok(session.args.includes('--max-size=4096'))
  t.equal(readFileSync(join(layout.live(uid), '.completed'), 'utf8'), '')
  t.equal(await end(session, [over]), 0)
  t.equal(marks.get(uid), undefined)
})
