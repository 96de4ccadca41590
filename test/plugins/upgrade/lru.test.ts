import { mkdir, readdir, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import fc from 'fast-check'
import t, { type Test } from 'tap'
import { definePlugin, token } from '../../../core/api.js'
import { boot, type TestHouse } from '../../../core/testing.js'
import type { Build } from '../../../plugins/rsync/public.js'
import { Downloads } from '../../../plugins/upgrade/fetch/downloads.js'
import upgrade from '../../../plugins/upgrade/plugin.js'
import { until } from '../../system/server.js'
import { facts, type StandIn, standIn, temporaryDirectory } from './stand-in.js'
import { packed, upstream } from './upstream.js'

const minute = 60_000
const hour = 60 * minute
const million = 1e6

/** A clock that a test turns. */
function clock(t: Pick<Test, 'teardown'>): { forth(milliseconds: number): void } {
  const { now } = Date
  let ahead = 0
  Date.now = () => now() + ahead
  t.teardown(() => {
    Date.now = now
  })
  return {
    forth(milliseconds) {
      ahead += milliseconds
    },
  }
}

interface School {
  house: TestHouse
  rsync: StandIn
}

/** A school with builds of 1 MB, the first of which was used the longest ago. */
async function school(
  t: Test,
  names: readonly string[],
  settings: Record<string, string> = {},
  more: readonly unknown[] = [],
): Promise<School> {
  const rsync = await standIn(t)
  for (const [index, name] of names.entries()) {
    const publishedAt = new Date(Date.now() - (names.length - index + 1) * hour).toISOString()
    await rsync.put(name, { publishedAt })
  }
  const house = await boot({
    plugins: [rsync.plugin, ...more, upgrade],
    settings: { 'upgrade-keep-free': '0', 'upgrade-limit': '2', ...settings },
  })
  t.teardown(() => house.dispose())
  return { house, rsync }
}

const gc = async ({ house }: School, dry = false): Promise<{ name: string; keep: boolean; why: string }[]> =>
  JSON.parse(
    (await house.command(['upgrade', 'gc'], { json: true, options: dry ? { 'dry-run': 'yes' } : {} })).out,
  )
const gone = ({ rsync }: School) => rsync.removed.map(({ name }) => name)
const now = () => new Date(Date.now()).toISOString()

t.test('the build that was used the longest ago goes first, until the limit is kept', async (t) => {
  const at = await school(t, ['a', 'b', 'c', 'd'])
  at.rsync.opened({ module: 'build-a', address: '10.0.0.1', at: now() })
  const tell = async () => (await gc(at, true)).map(({ name, keep }) => `${keep ? 'keep' : 'remove'} ${name}`)
  await until(async () => (await tell())[0] === 'remove b', 'the news')
  t.same(await tell(), ['remove b', 'remove c', 'keep d', 'keep a'])
  t.same(gone(at), [], 'nothing goes for a trial')
  t.match(await gc(at), [{ name: 'b', why: /more than 2\.0 MB \(upgrade-limit\).*last used/ }, { name: 'c' }])
  t.same(gone(at), ['b', 'c'])
  t.match(at.rsync.removed[0]?.reason, /upgrade-limit/)
  t.same(await gc(at), [])
  t.match((await at.house.command(['upgrade', 'list'])).out, /^NAME/)
})

t.test('a sticky build stays, by command or by its file', async (t) => {
  const at = await school(t, ['a', 'b', 'c', 'd'])
  const say = (command: string, name: string) => at.house.command(['upgrade', command], { args: { name } })
  t.match(await say('stick', 'a'), { ended: { exit: 0 }, out: /build-a stays/ })
  const b = at.rsync.builds.get('b') as Build
  await writeFile(join(b.path, 'sticky'), '')
  t.match(await gc(at, true), [
    { name: 'c', keep: false },
    { name: 'd', keep: false },
    { name: 'a', keep: true, why: /sticky/ },
    { name: 'b', keep: true, why: /sticky says so/ },
  ])
  t.match(await say('remove', 'a'), { ended: { exit: 77, message: /build-a stays: it is sticky/ } })
  t.match(await say('remove', 'b'), { ended: { message: /sticky says so/ } })
  t.match(await say('unstick', 'b'), { err: /not yet: remove .*sticky, too/ })
  t.match(await say('unstick', 'a'), { ended: { exit: 0 }, err: '' })
  t.match(await gc(at), [{ name: 'a' }, { name: 'c' }])
  t.match(await say('stick', 'a'), { ended: { exit: 66, message: 'build-a is not here' } })
  t.match(await say('stick', '../x'), { ended: { exit: 65, message: '"../x" is no name of a build' } })
})

t.test('what is sticky is so after the next start, too', async (t) => {
  const root = await temporaryDirectory(t)
  const rsync = await standIn(t)
  for (const name of ['a', 'b']) await rsync.put(name, { publishedAt: '2026-01-01T00:00:00.000Z' })
  const settings = { 'upgrade-limit': '1', 'upgrade-keep-free': '0' }
  const first = await boot({ plugins: [rsync.plugin, upgrade], settings, root })
  await first.command(['upgrade', 'stick'], { args: { name: 'a' } })
  rsync.opened({ module: 'build-a', address: '10.0.0.1', at: '2026-02-01T00:00:00.000Z' })
  rsync.opened({ module: 'build-a', address: '10.0.0.1', at: '2026-02-01T00:00:30.000Z' })
  await first.dispose()
  const kept = rsync.builds.get('a') as Build
  rsync.builds.delete('a')
  const without = await boot({ plugins: [rsync.plugin, upgrade], settings, root })
  await without.dispose()
  rsync.builds.set('a', kept)
  const house = await boot({ plugins: [rsync.plugin, upgrade], settings, root })
  t.teardown(() => house.dispose())
  const rows = JSON.parse((await house.command(['upgrade', 'list'], { json: true })).out)
  t.match(rows, [
    { name: 'a', sticky: true, usedAt: '2026-02-01T00:00:30.000Z' },
    { name: 'b', sticky: false },
  ])
  t.match(await gc({ house, rsync }), [{ name: 'b' }])
})

t.test('a build that somebody fetches stays, whoever asks for its removal', async (t) => {
  const at = await school(t, ['a', 'b', 'c'])
  at.rsync.active.set('build-a', 1)
  at.rsync.opened({ module: 'build-a', address: '10.0.0.7', at: '2020-01-01T00:00:00.000Z' })
  const why = '10.0.0.7 is fetching build-a'
  await until(async () => (await gc(at, true)).some((one) => one.name === 'a' && one.why === why), 'the news')
  t.match(await at.house.command(['upgrade', 'remove'], { args: { name: 'a' } }), {
    ended: { exit: 77, message: `build-a stays: ${why}` },
  })
  t.match(await gc(at), [{ name: 'b' }])
  at.rsync.active.set('build-a', 0)
  at.rsync.active.set('builds', 1)
  at.rsync.pulled({ module: 'build-a', address: '10.0.0.7', at: now(), bytes: 1 })
  t.match(await at.house.command(['upgrade', 'remove'], { args: { name: 'c' } }), {
    ended: { message: 'build-c stays: somebody is fetching builds' },
  })
  at.rsync.active.clear()
  t.match(await at.house.command(['upgrade', 'remove'], { args: { name: 'c' } }), {
    ended: { exit: 0 },
    out: 'build-c is removed\n',
  })
  t.same(gone(at), ['b', 'c'])
})

t.test('a build that has just come, or was just asked for, stays', async (t) => {
  const at = await school(t, ['a', 'b', 'c'], { 'upgrade-limit': '1' })
  const turned = clock(t)
  await at.rsync.put('e')
  at.rsync.opened({ module: 'build-a', address: '10.0.0.1', at: now() })
  await until(
    async () => (await gc(at, true)).some(({ why }) => why.startsWith('it was asked for')),
    'the news',
  )
  t.match(await gc(at), [{ name: 'b' }, { name: 'c' }])
  t.match(await gc(at, true), [
    { name: 'a', keep: true, why: 'it was asked for 0 minutes ago' },
    { name: 'e', keep: true },
  ])
  turned.forth(11 * minute)
  t.match(await gc(at), [{ name: 'a' }])
})

t.test('what a clock said that was ahead does not keep a build for years', async (t) => {
  const turned = clock(t)
  const at = await school(t, ['a', 'b', 'c'])
  at.rsync.opened({ module: 'build-a', address: '10.0.0.1', at: '2036-01-01T00:00:00.000Z' })
  await until(
    async () => (await gc(at, true)).some((one) => one.name === 'a' && /asked for/.test(one.why)),
    'it',
  )
  turned.forth(hour)
  at.rsync.opened({ module: 'build-b', address: '10.0.0.1', at: now() })
  await until(
    async () => (await gc(at, true)).some((one) => one.name === 'b' && /asked for/.test(one.why)),
    'it',
  )
  turned.forth(hour)
  await at.rsync.put('d', { publishedAt: '2020-01-01T00:00:00.000Z' })
  t.match(await gc(at), [{ name: 'd' }, { name: 'c' }])
  turned.forth(hour)
  await at.rsync.put('e')
  t.match(await gc(at), [{ name: 'a' }])
})

t.test('builds of the school itself are no business of the limit', async (t) => {
  const at = await school(t, ['a'], { 'upgrade-limit': '1' })
  await at.rsync.put('885', { from: 'rsync', bytes: 50 * million, publishedAt: '2020-01-01T00:00:00.000Z' })
  t.same(await gc(at), [])
  t.match(await facts(at.house), { fetched: million })
  for (const command of ['stick', 'remove']) {
    const { ended } = await at.house.command(['upgrade', command], { args: { name: '885' } })
    t.match(ended, { exit: 77, message: /build-885 was not fetched/ })
  }
  t.match(JSON.parse((await at.house.command(['upgrade', 'list'], { json: true })).out), [
    { name: '885', source: 'rsync-packed' },
    { name: 'a' },
  ])
})

t.test('builds that an operator has named in advance stay', async (t) => {
  const Hints = token<{ builds(): readonly string[] }>('activation/hints@1')
  let hints: readonly string[] = ['b', '../x']
  const activation = definePlugin({
    name: 'activation',
    api: 1,
    summary: 'stands in',
    provides: { hints: Hints },
    start: () => ({ hints: { builds: () => hints } }),
  })
  const at = await school(t, ['a', 'b', 'c', 'd'], { 'upgrade-prefetch': 'a@02:30' }, [activation])
  t.match(await gc(at, true), [
    { name: 'c', keep: false },
    { name: 'd', keep: false },
    { name: 'a', keep: true, why: 'upgrade-prefetch names it' },
    { name: 'b', keep: true, why: /hints of OATS/ },
  ])
  hints = []
  t.match(await gc(at), [{ name: 'b' }, { name: 'c' }])
})

t.test('a build comes only where there is room, and what must go for it goes before', async (t) => {
  const tree = Buffer.alloc(300_000, 'x')
  const from = await upstream(t, packed('885', tree))
  const settings = { 'upgrade-sources': `${from.url}/{name}`, 'upgrade-limit': '3' }
  const at = await school(t, ['a', 'b'], settings)
  t.equal(await at.rsync.ask('build-885'), true)
  t.same(gone(at), ['a'], '5 times 300 kB beside 2 MB')
  const full = await school(t, ['a', 'b'], { ...settings, 'upgrade-limit': '1' })
  await t.rejects(full.rsync.ask('build-885'), {
    message:
      /^build-885 could not be fetched: it needs about 1\.8 MB, and there is 500\.0 kB too little of what/,
  })
  t.same(gone(full), [], 'nothing goes in vain')
  const short = await school(t, ['a', 'b'], { ...settings, 'upgrade-keep-free': '999999999' })
  await t.rejects(short.rsync.ask('build-885'), { message: /too little on the disk of the server/ })
  t.same(gone(short), [])
  t.match((await short.house.status()).health, [
    { what: 'room for builds', problem: /are to stay free \(upgrade-keep-free\)/ },
  ])
  t.equal(from.count('GET', '/885-tree.tar.bz2'), 1)
})

t.test(
  'beginnings of builds that nobody asks for any more go after a week, or for want of room',
  async (t) => {
    const tree = Buffer.alloc(300_000, 'x')
    const from = await upstream(t, packed('885', tree))
    const at = await school(t, [], {
      'upgrade-sources': `${from.url}/{name}`,
      'upgrade-keep-free': '999999999',
    })
    const folder = join(at.house.root, 'upgrade', 'downloads')
    for (const name of ['old', 'new']) {
      await mkdir(join(folder, name))
      await writeFile(join(folder, name, 'tree'), name)
    }
    const week = new Date(Date.now() - 8 * 24 * hour)
    await utimes(join(folder, 'old'), week, week)
    const downloads = new Downloads(join(at.house.root, 'upgrade'))
    t.same(await downloads.sweep((name) => name === 'old'), [])
    t.same(await downloads.sweep(() => false), ['old'])
    await t.rejects(at.rsync.ask('build-885'), { message: /too little/ })
    t.same(await readdir(folder), [])
  },
)

t.test(
  'the limit is kept whatever order builds are used in, and the newest are those that stay',
  async (t) => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(fc.integer({ min: 1, max: 5 }), fc.integer({ min: 20, max: 5000 })), {
          maxLength: 8,
        }),
        fc.integer({ min: 1, max: 12 }),
        async (builds, limit) => {
          const rsync = await standIn(t)
          for (const [index, [size, age]] of builds.entries()) {
            const publishedAt = new Date(Date.now() - age * minute).toISOString()
            await rsync.put(`b${index}`, { bytes: size * million, publishedAt })
          }
          const settings = { 'upgrade-limit': String(limit), 'upgrade-keep-free': '0' }
          const house = await boot({ plugins: [rsync.plugin, upgrade], settings })
          await gc({ house, rsync })
          await house.dispose()
          const left = [...rsync.builds.values()]
          const sum = left.reduce((total, { bytes }) => total + bytes, 0)
          const went = builds.flatMap(([size, age], index) =>
            rsync.builds.has(`b${index}`) ? [] : [{ size, age }],
          )
          const youngest = went.sort((one, other) => one.age - other.age)[0]
          const oldestLeft = Math.max(
            0,
            ...builds.flatMap(([, age], i) => (rsync.builds.has(`b${i}`) ? [age] : [])),
          )
          return (
            sum <= limit * million &&
            (youngest === undefined ||
              (youngest.age >= oldestLeft && sum + youngest.size * million > limit * million))
          )
        },
      ),
      { numRuns: 15 },
    )
  },
)
