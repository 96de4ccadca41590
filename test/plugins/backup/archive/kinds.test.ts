import { cpSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { choose } from '../../../../plugins/backup/archive/choice.js'
import { jobsOf } from '../../../../plugins/backup/archive/jobs.js'
import type { Layout } from '../../../../plugins/backup/archive/layout.js'
import { Shelf } from '../../../../plugins/backup/archive/shelf.js'
import { makeJournal, wipeJournal } from '../../../../sugaroid/index.js'
import { journalOf, learner, newArchive, quiet } from '../../../support/backup/test-archive.js'
import { temporaryDirectory } from '../../../support/temporary-directory.js'

t.setTimeout(300_000)

const uid = learner(1)

/** Journals of several laptops, each sent as a whole when it is its turn. */
async function laptops(t: Test, count: number) {
  const layout = newArchive(t)
  const folder = await temporaryDirectory(t)
  const jobs = jobsOf(layout)
  const homes = Array.from({ length: count }, (_, n) => join(folder, `${n}`))
  for (const [n, home] of homes.entries())
    await makeJournal(home, { entries: 10, megabytes: 0.1, seed: `${n}` })
  const send = async (n: number) => {
    const live = journalOf(layout, uid)
    rmSync(live, { recursive: true })
    cpSync(homes[n] ?? '', live, { recursive: true, preserveTimestamps: true })
    return jobs.snapshot({ uid }, quiet)
  }
  return { layout, send, jobs }
}

const held = (layout: Layout) => {
  const shelf = new Shelf(layout, uid)
  return shelf.ids().filter((id) => shelf.held(id).length > 0)
}

t.test(
  'two laptops in turns are noticed, and only the first and the newest of each stay on hold',
  async (t) => {
    const { layout, send } = await laptops(t, 2)
    const ids: string[] = []
    for (let turn = 0; turn < 8; turn += 1) {
      const taken = await send(turn % 2)
      ids.push(taken.header.id)
      t.equal(taken.held?.id, ids.at(-2))
      t.equal(taken.held?.inTurns, turn >= 3 ? true : undefined, `turn ${turn}`)
      t.ok(held(layout).length <= 3, `${held(layout).length} on hold`)
    }
    t.strictSame(held(layout), [ids[0], ids[5], ids[6]])
    t.equal(choose(new Shelf(layout, uid)), ids[7], 'a restore does not give the other one the Journal')
  },
)

t.test('a laptop that is wiped, and restored, is not two', async (t) => {
  const { layout, send, jobs } = await laptops(t, 2)
  const first = await send(0)
  await wipeJournal(journalOf(layout, uid))
  t.match(await jobs.snapshot({ uid }, quiet), { held: { id: first.header.id, inTurns: undefined } })
  const back = await send(0)
  t.equal(back.held, undefined)
  t.strictSame(held(layout), [], 'it has again what it had')
  t.equal((await send(1)).held?.inTurns, undefined)
})

t.test('thirty laptops from one image leave few snapshots on hold, the first among them', async (t) => {
  const { layout, send } = await laptops(t, 12)
  const ids: string[] = []
  for (let turn = 0; turn < 12; turn += 1) ids.push((await send(turn)).header.id)
  const on = held(layout)
  t.equal(on[0], ids[0])
  t.ok(on.includes(ids[10] ?? ''), 'the newest too')
  t.ok(on.length <= 6, `${on.length} of ${ids.length} on hold`)
})
