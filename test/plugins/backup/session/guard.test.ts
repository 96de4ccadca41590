import { appendFileSync, mkdirSync, mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import type { RequestError } from '../../../../core/api.js'
import { Changes } from '../../../../plugins/backup/session/changes.js'
import { type Bounds, guard } from '../../../../plugins/backup/session/guard.js'
import { until } from '../../../system/server.js'

interface Watched {
  reasons: RequestError[]
  temporary: string
  /** rsync has made a new file of so many bytes. */
  made(bytes: number): void
}

function watched(t: Test, bounds: Bounds): Watched {
  const folder = mkdtempSync(join(tmpdir(), 'sugar-guard-'))
  const temporary = join(folder, 'temporary')
  mkdirSync(temporary)
  const log = join(folder, 'log')
  const reasons: RequestError[] = []
  const end = guard(new Changes(log), temporary, bounds, (reason) => reasons.push(reason))
  t.teardown(() => {
    end()
    rmSync(folder, { recursive: true, force: true })
  })
  const made = (bytes: number) => appendFileSync(log, `2026/11/20 10:11:12 [9] >f+++++++++ ${bytes}\n`)
  return { reasons, temporary, made }
}

const toldOff = ({ reasons }: Watched) => until(() => reasons.length > 0, 'the guard')

t.test('a transfer over the quota is stopped, by what has come and by what is coming', async (t) => {
  const bounds = { bytes: 6_000_000, files: 10, quota: 10_000_000 }
  const come = watched(t, bounds)
  for (const bytes of [2_000_000, 2_000_001]) come.made(bytes)
  const coming = watched(t, bounds)
  writeFileSync(join(coming.temporary, '.film.x'), '')
  truncateSync(join(coming.temporary, '.film.x'), 2 ** 40)
  const within = watched(t, bounds)
  within.made(3_900_000)
  await Promise.all([come, coming].map(toldOff))
  for (const { reasons } of [come, coming])
    t.match(reasons, [{ code: 'NO_SPACE', message: 'your share of the school server, 10 MB, is used up' }])
  await sleep(1500)
  t.same(within.reasons, [])
  t.equal(come.reasons.length, 1, 'told once')
})

t.test('who is above the quota may exchange a little, to be able to delete, and no more', async (t) => {
  const bounds = { bytes: 15_000_000, files: 10, quota: 10_000_000 }
  const little = watched(t, bounds)
  little.made(900_000)
  const much = watched(t, bounds)
  much.made(1_100_000)
  await toldOff(much)
  t.same(little.reasons, [])
})

t.test('a Journal of too many files is stopped, with or without a quota', async (t) => {
  const many = watched(t, { bytes: 0, files: 399_999, quota: 0 })
  many.made(0)
  const tooMany = watched(t, { bytes: 0, files: 400_000, quota: 0 })
  tooMany.made(0)
  await toldOff(tooMany)
  t.match(tooMany.reasons, [{ message: 'a Journal may have 400000 files' }])
  t.same(many.reasons, [])
})
