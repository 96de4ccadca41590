import {
  chmodSync,
  existsSync,
  readdirSync,
  readFileSync,
  statSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { bootId, SystemError } from '../../../../core/api.js'
import { DiskFull } from '../../../../plugins/backup/session/guard.js'
import { wipeJournal } from '../../../../sugaroid/index.js'
import { over, push, school, uid } from '../../../support/backup/live-sessions.js'
import { put, sentJournal } from '../../../support/backup/test-archive.js'
import { until } from '../../../support/core/server-process.js'

t.setTimeout(300_000)

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

/** What a power cut leaves of a file: its length and its time, and zeros inside. */
function tear(path: string): void {
  const { size, atime, mtime } = statSync(path)
  writeFileSync(path, Buffer.alloc(size))
  utimesSync(path, atime, mtime)
}

/** The mark of a learner, as another start of the machine finds it. */
function restartMachine(root: string): void {
  const path = join(root, 'marks', uid)
  writeFileSync(path, readFileSync(path, 'latin1').replace(bootId(), 'another-boot'))
}

const timeOf = (path: string) => statSync(path).mtime.toISOString()
const noTime = '1999-09-09T09:09:09.000Z'

t.test(
  'nothing is acknowledged before it is on the disk, and nothing that changed nothing is flushed',
  async (t) => {
    const told: string[] = []
    const held: (() => void)[] = []
    const sync = () =>
      new Promise<void>((resolve) => {
        told.push('flush')
        held.push(resolve)
      })
    const { layout, marks, open, end, snapshots } = await school(t, { sync })
    await sentJournal(layout, uid, 3, 0.1)
    const ending = end(await open(push), ['>f+++++++++ 5', over]).then((code) => told.push(`exit ${code}`))
    await until(() => held.length === 1, 'the flush')
    t.equal(marks.get(uid), 'dirty', 'until then no snapshot is due')
    t.same(await snapshots(), [])
    t.same(told, ['flush'])
    held.pop()?.()
    await ending
    t.same(told, ['flush', 'exit 0'])
    t.equal((await snapshots()).length, 1)
    told.length = 0
    t.equal(await end(await open(push), [over]), 0)
    t.same(told, [], 'all of it is there')

    await end(await open(push), ['>f+++++++++ 5'], 30)
    const again = end(await open(push), [over])
    await until(() => held.length === 1, 'what the one before had sent to be flushed')
    held.pop()?.()
    t.equal(await again, 0)

    for (const words of ['-ltr . documents', '-ltr . power-logs']) {
      const session = end(await open(words), ['>f+++++++++ 5', over])
      await until(() => held.length === 1, words)
      held.pop()?.()
      t.equal(await session, 0)
      t.equal(marks.unflushedSince(uid), undefined)
      t.equal(await end(await open(words), [over]), 0, 'as it was')
    }
    t.equal(marks.get(uid), 'aside')
    t.equal(await end(await open('--sender -ltr . datastore-current'), []), 0, 'who fetches writes nothing')
    t.equal(told.length, 3)
  },
)

t.test('a disk that does not take it is said to the laptop, and what came is not believed', async (t) => {
  let fault: Error | undefined = new SystemError('NOT_WRITABLE', 'Input/output error', {
    hint: 'look at the disk',
  })
  const sync = async () => {
    if (fault !== undefined) throw fault
  }
  const { layout, ledger, marks, finished, open, end, snapshots } = await school(t, { sync })
  const journal = await sentJournal(layout, uid, 3, 0.1)
  const session = await open(push)
  put(journal, 'letter', 'x')
  t.equal(await end(session, ['>f+++++++++ 5', over]), 75)
  t.match(session.refusal, { message: /is not safe/ })
  t.same([finished, await snapshots()], [['badly'], []])
  t.ok(marks.isDoubtful(uid))
  fault = undefined
  const again = await open(push)
  t.equal(timeOf(join(journal, 'letter')), noTime, 'rsync is to send it again')
  t.match(ledger.get(uid)?.flags, [{ flag: 'unconfirmed', why: /\d files of it/ }])
  t.equal(await end(again, ['>f..t...... 5', over]), 0)
  t.same(ledger.get(uid)?.flags, [])
  t.equal((await snapshots()).length, 1)
})

t.test('whose flush passes while that of another failed is not told that all is well', async (t) => {
  const { layout, marks, open, end } = await school(t, { sync: () => marks.doubtAll() })
  await sentJournal(layout, uid, 3, 0.1)
  const session = await open(push)
  t.equal(await end(session, ['>f+++++++++ 5', over]), 75)
  t.match(session.refusal, { message: /failed meanwhile/ })
})

t.test(
  'a session that the power cut: what it wrote is sent again, what was flushed before is not',
  async (t) => {
    const { root, layout, ledger, marks, keeper, open, end, snapshots } = await school(t)
    const journal = await sentJournal(layout, uid, 3, 0.1)
    put(journal, 'old', 'as it was')
    await end(await open(push), ['>f+++++++++ 5', over])
    const { lastGood, digest } = ledger.get(uid) ?? {}
    t.ok(lastGood)
    await sleep(2100)
    const session = await open(push)
    put(journal, 'new', 'which is lost')
    tear(join(journal, 'new'))
    await end(session, ['>f+++++++++ 5'], 20)
    restartMachine(root)
    const old = timeOf(join(journal, 'old'))
    keeper.catchUp()
    await keeper.settled()
    t.equal(timeOf(join(journal, 'new')), noTime)
    t.equal(timeOf(join(journal, 'old')), old)
    t.equal((await snapshots()).length, 1, 'no snapshot is taken of it')
    t.match(ledger.get(uid), { lastGood, digest, flags: [{ flag: 'unconfirmed', why: /before 1 files/ }] })
    t.equal(marks.get(uid), 'dirty', 'and the laptop is not told that all is here')
    t.notOk(marks.isDoubtful(uid))
  },
)

t.test(
  'a snapshot that is taken after a power cut says so, and is no good backup, until the laptop has come',
  async (t) => {
    const { root, layout, archivist, ledger, marks, keeper, sessions, open, end } = await school(t)
    const journal = await sentJournal(layout, uid, 3, 0.1)
    put(journal, 'letter', 'dear grandmother')
    tear(join(journal, 'letter'))
    writeFileSync(join(root, 'marks', uid), 'whole another-boot')
    keeper.catchUp()
    await keeper.settled()
    const [taken] = await archivist.run('snapshots', { uid })
    t.match(taken, { unconfirmed: true })
    t.equal(timeOf(join(journal, 'letter')), noTime)
    t.match(ledger.get(uid), {
      lastGood: undefined,
      digest: undefined,
      flags: [{ flag: 'unconfirmed', why: `snapshot ${taken?.id} was taken after the machine had stopped` }],
    } as object)
    const [holding] = await archivist.run('holdings', { uids: [uid] })
    t.equal(holding?.lastGood, undefined, 'neither where the store is lost')
    t.match(await archivist.run('verify', { repair: false }), { unconfirmed: [{ uid, snapshot: taken?.id }] })
    t.equal(marks.get(uid), 'dirty')

    await end(await open(push), ['<f'], 12)
    t.match(ledger.get(uid)?.flags, [{ flag: 'unconfirmed' }], 'that it tried is not enough')
    const session = await open(push)
    put(journal, 'letter', 'dear grandmother')
    await end(session, ['>f..t...... 5', over])
    t.match(ledger.get(uid), { lastGood: /^2/, digest: /^[0-9a-f]{64}$/, flags: [] })
    const [before, now] = await archivist.run('snapshots', { uid })
    t.match(before, { unconfirmed: true }, 'what it was stays said')
    t.equal(now?.unconfirmed, undefined)
    t.equal((await archivist.run('holdings', { uids: [uid] }))[0]?.lastGood?.at, now?.at)
    t.same(sessions.visits, [])
  },
)

t.test('where nothing was torn after all, the same snapshot is good once the laptop has come', async (t) => {
  const { root, layout, archivist, ledger, marks, keeper, open, end } = await school(t)
  await sentJournal(layout, uid, 3, 0.1)
  await marks.flushed(uid, 'whole')
  restartMachine(root)
  keeper.catchUp()
  await keeper.settled()
  t.match(await archivist.run('snapshots', { uid }), [{ unconfirmed: true }])
  await end(await open(push), [over])
  const [only, ...others] = await archivist.run('snapshots', { uid })
  t.same(others, [])
  t.equal(only?.unconfirmed, undefined)
  t.match(ledger.get(uid), { lastGood: /^2/, flags: [] })
  t.equal(marks.get(uid), undefined)

  const { lastGood } = ledger.get(uid) ?? {}
  await marks.flushed(uid, 'whole')
  restartMachine(root)
  keeper.catchUp()
  await keeper.settled()
  t.equal(marks.get(uid), undefined, 'a mark that outlived its snapshot alone is nothing to worry of')
  t.match(ledger.get(uid), { lastGood, flags: [] })
})

t.test('logs that the power cut are sent again too, and nothing is said of the Journal', async (t) => {
  const { root, layout, ledger, marks, keeper, open, end } = await school(t)
  const journal = await sentJournal(layout, uid, 3, 0.1)
  await end(await open(push), ['>f+++++++++ 5', over])
  await sleep(2100)
  const session = await open('-ltr . power-logs')
  put(layout.live(uid), join('power-logs', 'log'), '12 V')
  await end(session, ['>f+++++++++ 5'], 20)
  restartMachine(root)
  const [name = ''] = readdirSync(journal)
  const before = timeOf(join(journal, name))
  keeper.catchUp()
  await keeper.settled()
  t.equal(timeOf(join(layout.live(uid), 'power-logs', 'log')), noTime)
  t.equal(timeOf(join(journal, name)), before)
  t.same([marks.get(uid), marks.all(), ledger.get(uid)?.flags], [undefined, [], []])
})

t.test('a marker is a small file in the place of one', async (t) => {
  const { layout, marks, open, end } = await school(t)
  const session = await open('-ltr -T /tmp . /var/lib/ds-backup/completion/SHC00000000')
  t.ok(session.args.includes('--max-size=4096'))
  t.equal(readFileSync(join(layout.live(uid), '.completed'), 'utf8'), '')
  t.equal(await end(session, [over]), 0)
  t.equal(marks.get(uid), undefined)
})

t.test('who reaches a limit of rsync is told so', async (t) => {
  const { marks, open, end } = await school(t)
  for (const [code, words] of [
    [22, /needed more memory/],
    [137, /was killed/],
  ] as const) {
    const session = await open(push)
    t.equal(await end(session, [], code), 75, 'the laptop may come again')
    t.match(session.refusal?.message, words)
    t.equal(marks.get(uid), 'dirty')
  }
})
