import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pino } from 'pino'
import t from 'tap'
import { NedbStore } from '../../../../core/store/nedb/store.js'
import { factsOf } from '../../../../plugins/backup/facts.js'
import { collections, Ledger } from '../../../../plugins/backup/session/ledger.js'
import { Marks } from '../../../../plugins/backup/session/marks.js'
import type { Users } from '../../../../plugins/id/public.js'

t.test('what a clock that was ahead has written keeps nobody waiting until then', async (t) => {
  const path = mkdtempSync(join(tmpdir(), 'sugar-facts-'))
  const store = new NedbStore(join(path, 'store'), pino({ level: 'silent' }))
  t.teardown(async () => {
    await store.close()
    rmSync(path, { recursive: true, force: true })
  })
  const ledger = await Ledger.open(await store.open('backup/ledger', collections.ledger))
  const nobody = {} as unknown as Users
  const facts = factsOf({
    ...{ users: nobody, ledger, marks: new Marks(path), path, reserve: 0 },
    away: () => undefined,
    isKept: () => true,
    overall: () => undefined,
    draining: () => false,
  })
  await ledger.raise('a', 'over-quota', '12 of 10 MB')
  t.match(facts.refusal('a'), /12 of 10 MB/)
  for (const [minutes, isRefused, isPast] of [
    [-30, true, true],
    [-90, false, true],
    [90, true, false],
    [1e6, true, false],
  ] as const) {
    const lastGood = new Date(Date.now() + minutes * 60_000)
    await ledger.note('a', () => ({ lastGood: lastGood.toISOString() }))
    t.equal(facts.lastGood('a'), isPast ? lastGood.getTime() : undefined)
    t.equal(facts.refusal('a') !== undefined, isRefused, `${minutes} minutes from now`)
  }
  await ledger.note('a', ({ flags }) => ({
    flags: flags.map((flag) => ({ ...flag, since: '2999-01-01T00:00:00.000Z' })),
  }))
  t.equal(facts.refusal('a'), undefined)
})
