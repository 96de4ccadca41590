import { execFileSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { existsSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import t from 'tap'
import { choose } from '../../../../plugins/backup/archive/choice.js'
import { prune } from '../../../../plugins/backup/archive/prune.js'
import { recover } from '../../../../plugins/backup/archive/recovery.js'
import { Shelf } from '../../../../plugins/backup/archive/shelf.js'
import {
  changeJournal,
  entryPath,
  listEntries,
  makeJournal,
  wipeJournal,
} from '../../../../sugaroid/index.js'
import { learner, newArchive, put, sentJournal, snapshot } from '../../../support/backup/test-archive.js'

t.setTimeout(300_000)

const ana = learner(1)
const rules = { last: 1, daily: 0, weekly: 0, monthly: 0 }

t.test('a Journal that was wiped leaves its last snapshot on hold, for good', async (t) => {
  const layout = newArchive(t)
  const journal = await sentJournal(layout, ana, 50)
  const { header } = await snapshot(layout, ana)
  await wipeJournal(journal)
  const { held } = await snapshot(layout, ana)
  t.match(held, { id: header.id, upheaval: { before: 50, removed: 50, rewritten: 0 } })
  const shelf = new Shelf(layout, ana)
  t.match(shelf.held(header.id), [{ by: 'brake', why: /50 of 50 entries were gone and 0 rewritten/ }])
  for (let day = 0; day < 5; day += 1) {
    put(journal, 'index_updated', `${day}`)
    t.notOk((await snapshot(layout, ana)).held)
    prune(layout, { rules, dryRun: false }, () => false)
  }
  t.equal(shelf.ids().length, 2)
  t.equal(choose(shelf), header.id, 'it is what a restore gives')
})

t.test('a Journal whose contents were all rewritten is held, though all entries are there', async (t) => {
  const layout = newArchive(t)
  const journal = await sentJournal(layout, ana, 50)
  const { header } = await snapshot(layout, ana)
  for (const uid of await listEntries(journal)) {
    const entry = entryPath(journal, uid)
    if (existsSync(join(entry, 'data'))) put(entry, 'data', randomBytes(3000))
  }
  const { held } = await snapshot(layout, ana)
  t.match(held, { id: header.id, upheaval: { before: 50, removed: 0 } })
})

t.test('contents put aside under other names count as rewritten', async (t) => {
  const layout = newArchive(t)
  const journal = await sentJournal(layout, ana, 50)
  await snapshot(layout, ana)
  for (const path of readdirSync(journal, { recursive: true, encoding: 'utf8' }).filter(
    (one) => basename(one) === 'data',
  ))
    renameSync(join(journal, path), join(journal, `${path}.locked`))
  t.ok((await snapshot(layout, ana)).held)
})

t.test('ordinary days, and 20 % a day, hold nothing: the keep rules have what was there', async (t) => {
  const layout = newArchive(t)
  const journal = await sentJournal(layout, ana, 60)
  await snapshot(layout, ana)
  for (const percent of [1, 5, 20, 20]) {
    await changeJournal(journal, { percent, seed: `${percent}` })
    t.match(await snapshot(layout, ana), { fresh: true, held: undefined }, `${percent} %`)
  }
  const gone = (await listEntries(journal)).filter((_, index) => index % 5 === 0)
  for (const uid of gone) rmSync(entryPath(journal, uid), { recursive: true })
  t.notOk((await snapshot(layout, ana)).held, 'a fifth was thrown away')
  t.equal(new Shelf(layout, ana).ids().length, 6)
})

t.test('of three entries nothing can be told, and a first snapshot has nothing before it', async (t) => {
  const layout = newArchive(t)
  const journal = await sentJournal(layout, ana, 3)
  t.notOk((await snapshot(layout, ana)).held)
  await wipeJournal(journal)
  t.notOk((await snapshot(layout, ana)).held)
})

t.test('a snapshot that cannot be read does not let the brake off', async (t) => {
  const layout = newArchive(t)
  const journal = await sentJournal(layout, ana, 30)
  const { header: first } = await snapshot(layout, ana)
  put(journal, 'index_updated', 'x')
  const { header: second } = await snapshot(layout, ana)
  const shelf = new Shelf(layout, ana)
  rmSync(shelf.path(second.id))
  writeFileSync(join(layout.snapshots(ana), `${second.id}.snapshot`), Buffer.alloc(100))
  await wipeJournal(journal)
  t.match((await snapshot(layout, ana)).held, { id: first.id })
})

t.test('the brake comes off when a Journal has again most of what it had, and not before', async (t) => {
  const layout = newArchive(t)
  const journal = await sentJournal(layout, ana, 40)
  const { header: full } = await snapshot(layout, ana)
  const shelf = new Shelf(layout, ana)
  const isBraked = () => shelf.held(full.id).some(({ by }) => by === 'brake')
  const next = async () => {
    const { header } = await snapshot(layout, ana)
    recover(layout, ana, header.id)
  }
  execFileSync('cp', ['-a', journal, `${layout.root}/aside`])
  await wipeJournal(journal)
  await next()
  t.ok(isBraked(), 'all is gone')
  shelf.hold(full.id, { by: 'operator', why: 'to look at' })
  await makeJournal(journal, { entries: 40, seed: 'others' })
  await next()
  t.ok(isBraked(), 'as many others are not what it had')
  execFileSync('cp', ['-a', `${layout.root}/aside/.`, journal])
  await next()
  t.notOk(isBraked(), 'it was restored')
  t.match(shelf.held(full.id), [{ by: 'operator' }], 'what an operator holds stays')
})

/** A tree that is no Journal of Sugar's. */
function foreign(layout: Parameters<typeof snapshot>[0], place: string, count: number): string {
  const folder = join(layout.live(ana), place)
  for (let file = 0; file < count; file += 1)
    put(join(folder, `work ${file % 7}`), `essay ${file}`, `text ${file}`)
  return folder
}

for (const place of ['datastore-current', 'documents']) {
  t.test(`in any layout what is removed or rewritten is seen: ${place}`, async (t) => {
    const layout = newArchive(t)
    await sentJournal(layout, ana, 5)
    // Of Sugar's entries there are few, and nothing becomes of them.
    const folder = foreign(layout, place, 100)
    await snapshot(layout, ana)
    const names = execFileSync('find', [folder, '-name', 'essay *'], { encoding: 'utf8' }).trim().split('\n')
    for (const name of names.slice(0, 20)) rmSync(name)
    t.notOk((await snapshot(layout, ana)).held, 'a fifth was removed')
    execFileSync('mv', [join(folder, 'work 0'), join(folder, 'work of last year')])
    const { header: before, held: moved } = await snapshot(layout, ana)
    t.notOk(moved, 'what has another name is not lost')
    for (const name of execFileSync('find', [folder, '-name', 'essay *'], { encoding: 'utf8' })
      .trim()
      .split('\n')
      .slice(0, 76))
      rmSync(name)
    const { held } = await snapshot(layout, ana)
    const kind = place === 'documents' ? 'documents' : 'files'
    t.match(held, { id: before.id, upheaval: { kind, before: 80, removed: 76, rewritten: 0 } })
    prune(layout, { rules, dryRun: false }, () => false)
    const shelf = new Shelf(layout, ana)
    t.ok(shelf.ids().includes(before.id), 'it is not pruned')
    t.match(shelf.held(before.id), [{ why: new RegExp(`76 of 80 ${kind} were gone and 0 rewritten`) }])
    foreign(layout, place, 100)
    const { header: again } = await snapshot(layout, ana)
    recover(layout, ana, again.id)
    t.same(shelf.held(before.id), [], 'they are back')
    for (let file = 0; file < 100; file += 1)
      put(join(folder, `work ${file % 7}`), `essay ${file}`, `encrypted ${file}`)
    t.match((await snapshot(layout, ana)).held, {
      id: again.id,
      upheaval: { kind, removed: 0, rewritten: 100 },
    })
  })
}

t.test('what Sugar makes anew by itself holds nothing', async (t) => {
  const layout = newArchive(t)
  const journal = await sentJournal(layout, ana, 10)
  for (let file = 0; file < 20; file += 1) put(join(journal, 'index'), `${file}`, `a ${file}`)
  await snapshot(layout, ana)
  for (let file = 0; file < 20; file += 1) put(join(journal, 'index'), `${file}`, `b ${file}`)
  t.match(await snapshot(layout, ana), { fresh: true, held: undefined })
})
