import {
  appendFileSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import type { RequestError } from '../../../../core/api.js'
import { Changes } from '../../../../plugins/backup/session/changes.js'
import { type Bounds, guard } from '../../../../plugins/backup/session/guard.js'
import { sizeOf } from '../../../../plugins/backup/session/size.js'
import { until } from '../../../support/core/server-process.js'

interface Watched {
  reasons: RequestError[]
  live: string
  temporary: string
  /** rsync has sent a file of so many bytes, new or not. */
  sent(bytes: number, isNew?: boolean): void
  end(): Promise<RequestError | undefined>
}

/** @param lies bytes of a file that lies there, once the log is not believed */
function watched(
  t: Test,
  { history = 0, ...rest }: Omit<Bounds, 'history'> & { history?: number },
  lies = 0,
): Watched {
  const bounds = { history, ...rest }
  const folder = mkdtempSync(join(tmpdir(), 'sugar-guard-'))
  const temporary = join(folder, 'temporary')
  const live = join(folder, 'live')
  for (const one of [temporary, live]) mkdirSync(one)
  writeFileSync(join(live, 'film'), '')
  truncateSync(join(live, 'film'), lies)
  const log = join(folder, 'log')
  const reasons: RequestError[] = []
  const { end } = guard(new Changes(log), { live, temporary }, bounds, (reason) => reasons.push(reason))
  t.teardown(async () => {
    await end()
    rmSync(folder, { recursive: true, force: true })
  })
  const sent = (bytes: number, isNew = true) =>
    appendFileSync(log, `2026/11/20 10:11:12 [9] >f${isNew ? '+++++++++' : '.st......'} ${bytes}\n`)
  return { reasons, live, temporary, sent, end }
}

const toldOff = ({ reasons }: Watched) => until(() => reasons.length > 0, 'the guard')

t.test('a transfer over the quota is stopped, by what has come and by what is coming', async (t) => {
  const bounds = { had: { bytes: 6_000_000, files: 10 }, kept: 6_000_000, quota: 10_000_000 }
  const come = watched(t, bounds, 10_000_001)
  for (const bytes of [2_000_000, 2_000_001]) come.sent(bytes)
  const longer = watched(t, bounds, 10_000_001)
  longer.sent(4_000_001, false)
  const coming = watched(t, bounds, 6_000_000)
  writeFileSync(join(coming.temporary, '.film.x'), '')
  truncateSync(join(coming.temporary, '.film.x'), 2 ** 40)
  const within = watched(t, bounds, 9_900_000)
  within.sent(3_900_000)
  const deleted = watched(t, bounds, 5_000_000)
  deleted.sent(9_000_000)
  const rewritten = watched(t, bounds, 6_000_000)
  for (let time = 0; time < 9; time += 1) rewritten.sent(5_000_000, false)
  await Promise.all([come, longer, coming].map(toldOff))
  for (const { reasons } of [come, longer, coming])
    t.match(reasons, [{ code: 'NO_SPACE', message: 'your share of the school server, 10 MB, is used up' }])
  await sleep(1500)
  for (const { reasons } of [within, deleted, rewritten]) t.same(reasons, [])
  t.equal(come.reasons.length, 1, 'told once')
  deleted.sent(6_000_000)
  truncateSync(join(deleted.live, 'film'), 11_000_000)
  t.match(await deleted.end(), { code: 'NO_SPACE' }, 'also what came faster than anybody looked')
  t.equal(await within.end(), undefined)
})

t.test('who is above the quota may exchange a little, to be able to delete, and no more', async (t) => {
  const bounds = { had: { bytes: 15_000_000, files: 10 }, kept: 15_000_000, quota: 10_000_000 }
  const little = watched(t, bounds, 15_900_000)
  little.sent(900_000)
  const much = watched(t, bounds, 16_100_000)
  much.sent(1_100_000)
  const again = watched(t, { ...bounds, had: { bytes: 15_900_000, files: 10 } }, 16_100_000)
  again.sent(200_000)
  const below = watched(t, { ...bounds, had: { bytes: 2_000_000, files: 10 } }, 10_100_000)
  below.sent(8_100_000)
  await Promise.all([much, again, below].map(toldOff))
  t.same(little.reasons, [])
})

t.test(
  'who is above it by what a stopped transfer left may send less, and is not done until below',
  async (t) => {
    const had = (bytes: number) => ({ had: { bytes, files: 1 }, kept: 3_000_000, quota: 10_000_000 })
    const less = watched(t, had(15_000_000), 15_000_000)
    writeFileSync(join(less.temporary, '.film.x'), '')
    truncateSync(join(less.temporary, '.film.x'), 9_000_000)
    const more = watched(t, had(15_000_000), 15_000_002)
    more.sent(2)
    const far = watched(t, had(20_000_001), 20_000_001)
    writeFileSync(join(far.temporary, '.film.x'), 'film')
    await Promise.all([more, far].map(toldOff))
    t.same(readdirSync(far.temporary), [], 'nothing of it is left for rsync to keep')
    t.same(less.reasons, [])
    rmSync(join(less.temporary, '.film.x'))
    t.match(await less.end(), { code: 'NO_SPACE' })
  },
)

t.test('a Journal of too many files is stopped, with or without a quota', async (t) => {
  const many = watched(t, { had: { bytes: 0, files: 399_999 }, kept: 0, quota: 0 })
  many.sent(0)
  t.equal(await many.end(), undefined)
  const folder = mkdtempSync(join(tmpdir(), 'sugar-size-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  mkdirSync(join(folder, 'a\nf 5'))
  symlinkSync('x'.repeat(100), join(folder, 'a\nf 5', 'link'))
  writeFileSync(join(folder, 'file'), '12345')
  const names = 'a\nf 5'.length + 'link'.length + 'file'.length
  const bytes = names + 3 * (256 + 8) + 4096 + 4096 + 4096
  t.same(await sizeOf(folder), { bytes, files: 3 }, 'a directory, a link that needs a block, a file')
  t.same(await sizeOf(join(folder, 'none')), { bytes: 0, files: 0 })
})
