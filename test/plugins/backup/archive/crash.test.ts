import { mkdirSync, readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import t from 'tap'
import { receiver } from '../../../../core/cli/receive.js'
import type { Archivist } from '../../../../plugins/backup/archive/archivist.js'
import type { Layout } from '../../../../plugins/backup/archive/layout.js'
import { Shelf } from '../../../../plugins/backup/archive/shelf.js'
import { verify } from '../../../../plugins/backup/archive/verify.js'
import { Mailbox } from '../../../../plugins/backup/commands/mailbox.js'
import { pruneAll } from '../../../../plugins/backup/commands/prune.js'
import { changeJournal } from '../../../../sugaroid/index.js'
import {
  archivistOf,
  facts,
  journalOf,
  learner,
  newArchive,
  quiet,
  restoreBy,
  sentJournal,
} from '../../../support/backup/test-archive.js'
import { rounds, seed, spread } from '../../../support/rounds.js'
import { seededRandom } from '../../../support/seeded-random.js'

t.setTimeout(400_000)

const ana = learner(1)
const ben = learner(2)
const rules = { last: 2, daily: 0, weekly: 0, monthly: 0 }

/** What a start of the server does with what was being made. */
function cleanScratch({ scratch }: Layout): void {
  for (const name of readdirSync(scratch)) rmSync(join(scratch, name), { recursive: true })
}

t.test('kill -9 at any moment of any work loses nothing that was told', async (t) => {
  const layout = newArchive(t)
  const journal = await sentJournal(layout, ana, 50, 3)
  await sentJournal(layout, ben, 20, 1, '2')
  let pid = 0
  const archivist = archivistOf(t, layout, (started) => {
    pid = started
  })
  const told: string[] = []
  const take = async () => told.push((await archivist.run('snapshot', { uid: ana })).header.id)
  await take()
  await archivist.run('snapshot', { uid: ben })
  const shelf = new Shelf(layout, ana)
  let restored = 0
  const work: ((round: number) => Promise<unknown>)[] = [
    take,
    () => take(),
    async () => {
      await archivist.run('prune', { rules, dryRun: false })
      await archivist.run('sweep', {})
    },
    async (round) => {
      const to = join(layout.root, `restored-${round}`)
      await restoreBy(archivist, { uid: ben, to })
      restored += 1
    },
  ]
  // How long each takes here, so that the blows are spread over all of it, from the first call to after the last.
  const lasting: number[] = []
  for (const job of work) {
    await changeJournal(journal, { percent: 20 })
    const began = performance.now()
    await job(-1)
    lasting.push(performance.now() - began)
    rmSync(join(layout.root, 'restored--1'), { recursive: true, force: true })
  }
  let killed = 0
  const many = rounds(40, 16)
  const random = seededRandom(seed)
  for (let round = 0; round < many; round += 1) {
    await changeJournal(journal, { percent: 20, seed: `${seed} ${round}` })
    // A process that is there already, so that the blow meets the work and not the start.
    await archivist.run('holdings', {})
    const patience = spread(random, Math.floor(round / 4), many / 4, (lasting[round % 4] ?? 0) * 2.5)
    const job = (work[round % 4] ?? take)(round).then(
      () => 'done',
      (error: { code?: string }) => error.code ?? error,
    )
    await setTimeout(patience)
    process.kill(pid, 'SIGKILL')
    const outcome = await job
    if (outcome !== 'done') killed += 1
    if (outcome !== 'done' && outcome !== 'UNAVAILABLE') t.fail(`round ${round}: ${String(outcome)}`)
    cleanScratch(layout)
    const { damage } = await verify(layout, quiet, { repair: false })
    if (damage.length > 0) t.strictSame(damage, [], `round ${round}`)
    const ids = new Set(shelf.ids())
    const newest = told.slice(-2).filter((id) => !ids.has(id))
    if (newest.length > 0) t.fail(`round ${round}: ${newest.join()} were told as taken`)
  }
  t.comment(`${killed} of ${many} were cut off; ${told.length} snapshots, ${restored} restores`)
  t.ok(killed >= many / 4)
  const whole = facts(journalOf(layout, ben))
  const folders = readdirSync(layout.root).filter((name) => name.startsWith('restored-'))
  t.ok(folders.length >= restored - 1)
  for (const name of folders) t.strictSame(facts(join(layout.root, name)), whole, `${name} is whole`)

  await take()
  await archivist.run('prune', { rules, dryRun: false })
  await archivist.run('sweep', {})
  t.strictSame((await verify(layout, quiet, { repair: false })).damage, [])
  // Days of which no snapshot was told may add up to so much that the brake holds what was before.
  t.ok(shelf.ids().filter((id) => shelf.held(id).length === 0).length <= 2)
  t.strictSame(await archivist.run('drill', { uids: [ana] }).then(([one]) => one?.wrong), [])
})

const failure = (work: Promise<unknown>): Promise<unknown> =>
  work.then(
    () => undefined,
    (error: unknown) => error,
  )

t.test('the process tells how far it is, gives work up, and hands over what went wrong', async (t) => {
  const layout = newArchive(t)
  await sentJournal(layout, ana, 60, 2)
  const archivist = archivistOf(t, layout)
  t.match(await archivist.run('snapshot', { uid: ana }), { fresh: true })
  t.match(await archivist.run('holdings', {}), [{ uid: ana, snapshots: 1, braked: [] }])
  t.match(await archivist.run('snapshots', { uid: ana }), [{ entries: 60, held: false }])
  t.match(await failure(archivist.run('entries', { uid: ben, query: { limit: 1 } })), {
    code: 'NOT_FOUND',
    message: 'there is no snapshot yet',
  })
  const to = join(layout.scratch, 'restored')
  t.match(await failure(restoreBy(archivist, { uid: ana, at: 'never', to })), {
    code: 'USAGE',
    hint: /write/,
  })
  const failed = await failure(archivist.run('layOut', { uid: ana, to: '/dev/null/below/it' }))
  t.match(failed, { code: 'ENOTDIR', message: /^ENOTDIR: [^\n]+$/ }, 'the stack is for the log')
  const controller = new AbortController()
  const given = { uids: Array.from({ length: 200 }, () => ana) }
  const drilling = archivist.run('drill', given, {
    signal: controller.signal,
    progress: (files, bytes) => files > 0 && bytes > 0 && controller.abort(),
  })
  t.match(await failure(drilling), { code: 'UNAVAILABLE', message: 'given up' })
  t.strictSame(readdirSync(layout.scratch), [])
  t.match(await failure(archivist.run('size', {}, { signal: AbortSignal.abort() })), { name: 'AbortError' })
  await archivist.close()
  t.match(await failure(archivist.run('size', {})), { code: 'UNAVAILABLE' })
})

t.test(
  'a snapshot that somebody reads is not pruned, and many jobs at once do not harm each other',
  async (t) => {
    const layout = newArchive(t)
    const journal = await sentJournal(layout, ana, 60, 2)
    await sentJournal(layout, ben, 30, 1, '2')
    const archivist: Archivist = archivistOf(t, layout)
    const { header: first } = await archivist.run('snapshot', { uid: ana })
    const whole = facts(journal)
    await changeJournal(journal, { percent: 20 })
    await archivist.run('snapshot', { uid: ana })
    mkdirSync(join(layout.root, 'out'))
    const to = join(layout.root, 'out/first')
    const mailbox = await Mailbox.open()
    t.teardown(() => mailbox.close())
    const packing = archivist.run('restore', { uid: ana, at: first.id, to, socket: mailbox.path })
    const others = await Promise.all([
      archivist.run('prune', { rules: { ...rules, last: 1 }, dryRun: false }),
      archivist.run('sweep', {}),
      archivist.run('snapshot', { uid: ben }),
      archivist.run('verify', { repair: false }),
      archivist.run('layOut', { uid: ana, to: join(layout.root, 'out/laid') }),
    ])
    t.match(others[0][0], { id: first.id, keep: true, reasons: ['it is being read'] })
    t.strictSame(others[3].damage, [])
    await receiver(new Set([to]))({ to, form: 'directory' }, mailbox.arriving(packing))
    t.match(await packing, { snapshot: first.id })
    t.strictSame(facts(to), whole)
    t.match(await archivist.run('prune', { rules: { ...rules, last: 1 }, dryRun: false, uids: [ana] }), [
      { keep: false },
      { keep: true },
    ])
    await archivist.run('sweep', {})
    t.strictSame((await archivist.run('verify', { repair: false })).damage, [])
  },
)

t.test('what all backups take is measured anew once something was removed', async (t) => {
  const layout = newArchive(t)
  await sentJournal(layout, ana, 5)
  let sizes: number[] = []
  const archivist = archivistOf(t, layout)
  const measured = async () => {
    sizes = [...sizes, await archivist.run('size', {})]
  }
  const desk = { archivist, rules, keeper: { settled: async () => undefined }, measured }
  await archivist.run('snapshot', { uid: ana })
  rmSync(layout.snapshots(ana), { recursive: true })
  const before = await archivist.run('size', {})
  await pruneAll(desk, true)
  t.strictSame(sizes, [])
  const { freed } = await pruneAll(desk, false)
  t.strictSame(sizes, [before - freed])
})
