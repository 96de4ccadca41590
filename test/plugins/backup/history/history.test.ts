import { rmSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { Objects } from '../../../../plugins/backup/archive/objects.js'
import { Shelf } from '../../../../plugins/backup/archive/shelf.js'
import { history } from '../../../../plugins/backup/history/chapters.js'
import { locate } from '../../../../plugins/backup/history/locate.js'
import { searchPast } from '../../../../plugins/backup/history/search-past.js'
import { filesOf, uidOf } from '../../../support/backup/datastore.js'
import {
  archivistOf,
  journalOf,
  learner,
  newArchive,
  put,
  quiet,
  sentJournal,
  snapshot,
} from '../../../support/backup/test-archive.js'

t.setTimeout(120_000)

const ana = learner(1)

/** A Journal of 20 entries, with a turtle, a whale and a heron, of which one goes after the other. */
async function newSchool(t: Test) {
  const layout = newArchive(t)
  await sentJournal(layout, ana, 20, 1)
  const folder = journalOf(layout, ana)
  const [turtle, whale, heron] = [uidOf(101), uidOf(102), uidOf(103)]
  const titles = { [turtle]: 'Mi casa de tortuga', [whale]: 'La Tortuga y la ballena', [heron]: 'Garza' }
  const entry = (uid: string, title: string) => {
    for (const [name, content] of Object.entries(filesOf({ uid, data: title, metadata: { title } })))
      put(folder, name, content)
  }
  const remove = (uid: string) => rmSync(join(folder, uid.slice(0, 2), uid), { recursive: true })
  for (const [uid, title] of Object.entries(titles)) entry(uid, title)
  const take = async () => (await snapshot(layout, ana)).header.id
  const first = await take()
  entry(turtle, 'Mi casa de tortuga, otra vez')
  const second = await take()
  remove(turtle)
  const third = await take()
  remove(whale)
  const fourth = await take()
  const objects = new Objects(layout.objects)
  const shelf = new Shelf(layout, ana)
  return { layout, objects, shelf, turtle, whale, heron, ids: { first, second, third, fourth }, remove, take }
}

const school = await newSchool(t)

t.test('each entry is found once, with the snapshot in which it was last', async (t) => {
  const { objects, shelf, turtle, whale, heron, ids } = school
  const found = new Map<string, string>()
  for (const { snapshot, entries } of history(shelf, objects, (id) => t.fail(`${id} is whole`))) {
    for (const uid of entries.keys()) {
      t.notOk(found.has(uid), 'once')
      found.set(uid, snapshot)
    }
  }
  t.equal(found.size, 23)
  const gone = [...found].filter(([, id]) => id !== ids.fourth)
  t.same(
    gone.sort(),
    [
      [turtle, ids.second],
      [whale, ids.third],
    ].sort(),
  )
  const where = locate(shelf, objects, [turtle, heron, uidOf(999)])
  t.same(where, {
    found: new Map([
      [heron, ids.fourth],
      [turtle, ids.second],
    ]),
    first: ids.fourth,
    unread: [],
  })
})

t.test('a search goes through all snapshots but the newest, and shows what was there last', async (t) => {
  const { objects, shelf, turtle, whale, ids } = school
  const search = (text: string) => searchPast(shelf, objects, text, quiet)
  const { entries, isCut, unread } = await search('TORTUGA')
  t.same([isCut, unread], [false, []])
  t.same(
    entries.map(({ uid, title, snapshot }) => [uid, title, snapshot]).sort(),
    [
      [turtle, 'Mi casa de tortuga, otra vez', ids.second],
      [whale, 'La Tortuga y la ballena', ids.third],
    ].sort(),
  )
  t.same((await search('garza')).entries, [], 'the newest snapshot has it')
  t.same((await search('xyzzy')).entries, [])
})

t.test("the archive's process looks for an entry that is to be opened where it was last", async (t) => {
  const { layout, turtle, ids } = school
  const archivist = archivistOf(t, layout)
  const opened = await archivist.run('entry', { uid: ana, entry: turtle })
  t.equal(opened.snapshot, ids.second)
  await t.rejects(archivist.run('entry', { uid: ana, entry: turtle, at: 'latest' }), { code: 'NOT_FOUND' })
  await t.rejects(archivist.run('entry', { uid: ana, entry: uidOf(999) }), { code: 'NOT_FOUND' })
  await t.rejects(archivist.run('locate', { uid: learner(2), entries: [turtle] }), { code: 'NOT_FOUND' })
})

t.test('while the brake holds a snapshot, entries that came later are found too', async (t) => {
  const { layout, objects, shelf, heron, ids, remove, take } = school
  remove(heron)
  const fifth = await take()
  shelf.hold(ids.first, { by: 'brake', why: 'for the test' })
  const late = uidOf(104)
  for (const [name, content] of Object.entries(
    filesOf({ uid: late, data: 'x', metadata: { title: 'Tarde' } }),
  ))
    put(journalOf(layout, ana), name, content)
  const sixth = await take()
  const { found, first } = locate(shelf, objects, [heron, late])
  t.equal(first, ids.first)
  t.same(
    found,
    new Map([
      [heron, ids.first],
      [late, sixth],
    ]),
  )
  t.not(fifth, sixth)
  t.match((await searchPast(shelf, objects, 'tarde', quiet)).entries, [{ uid: late, snapshot: sixth }])
  shelf.release(ids.first, 'brake')
})

t.test('a damaged snapshot, or a part of one, hides nothing that lies elsewhere, and is named', async (t) => {
  const { layout, objects, shelf, turtle, whale, ids } = school
  put(layout.snapshots(ana), `${ids.third}.snapshot`, 'rotten', 0o600)
  const { found, unread } = locate(shelf, objects, [turtle, whale])
  t.same(
    found,
    new Map([
      [turtle, ids.second],
      [whale, ids.second],
    ]),
  )
  t.same(unread, [ids.third])
  const [piece] = shelf.read(ids.first).pieces
  const bundle = piece?.bundle ?? ''
  put(join(layout.objects, bundle.slice(0, 2)), bundle.slice(2), 'rotten', 0o600)
  const after = await searchPast(shelf, objects, 'tortuga', quiet)
  t.ok(after.unread.includes(ids.third))
  t.ok(after.unread.length >= 2, 'what was not searched whole is told')
})
