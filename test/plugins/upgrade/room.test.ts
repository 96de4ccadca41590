import { mkdir, readdir, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import fc from 'fast-check'
import t from 'tap'
import { boot } from '../../../core/testing.js'
import { Downloads } from '../../../plugins/upgrade/fetch/downloads.js'
import upgrade from '../../../plugins/upgrade/plugin.js'
import { until } from '../../support/core/server-process.js'
import { runs } from '../../support/rounds.js'
import { facts, standIn } from '../../support/upgrade/fake-rsync.js'
import { gc, gone, hour, million, minute, school } from '../../support/upgrade/stocked-builds.js'
import { type File, packed, send, upstream } from '../../support/upgrade/upstream.js'

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

t.test('a build that has just come is not counted as one that is to come, too', async (t) => {
  const tree = Buffer.alloc(300_000, 'x')
  const from = await upstream(t, { ...packed('885', tree), ...packed('602', tree) })
  const at = await school(t, [], { 'upgrade-sources': `${from.url}/{name}`, 'upgrade-limit': '3' })
  let placed = false
  let end = () => undefined as unknown
  at.rsync.installing = async ({ name }) => {
    if (name !== '885') return
    await at.rsync.put(name, { bytes: 1_500_000 })
    placed = true
    await new Promise((resolve) => {
      end = () => resolve(undefined)
    })
  }
  const first = at.house.command(['upgrade', 'fetch'], { args: { name: '885' } })
  await until(() => placed, 'the first')
  t.equal(await at.rsync.ask('build-602'), true)
  end()
  t.match(await first, { ended: { exit: 0 } })
  t.same(gone(at), [])
})

t.test('room that was kept for what a source could not give is free while another is asked', async (t) => {
  const tree = Buffer.alloc(300_000, 'x')
  const { '/885.contents': _, ...without } = packed('885', tree)
  const first = await upstream(t, without)
  let end = () => undefined as unknown
  const slow: Partial<File> = {
    head: (_, response) => response.writeHead(200).end(),
    get: (request, response) => {
      end = () => send(request, response, { bytes: tree })
    },
  }
  const second = await upstream(t, { ...packed('885', tree, slow), ...packed('602', tree) })
  const at = await school(t, [], { 'upgrade-sources': `${first.url}/{name}, ${second.url}/{name}` })
  const coming = at.rsync.ask('build-885')
  await until(() => second.count('GET', '/885-tree.tar.bz2') > 0, 'the second source to be asked')
  t.equal(await at.rsync.ask('build-602'), true)
  end()
  t.equal(await coming, true)
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
    const downloads = new Downloads(join(at.house.root, 'upgrade'), at.rsync.arrivals)
    t.same(await downloads.sweep((name) => name === 'old'), [])
    t.same(await downloads.sweep(() => false), ['old'])
    await at.rsync.arrivals.folder('602')
    t.same(await downloads.sweep(() => false), [])
    const { now } = Date
    t.teardown(() => {
      Date.now = now
    })
    for (const days of [-20_000, -1, 6]) {
      Date.now = () => now() + days * 24 * hour
      t.same(await downloads.sweep(() => false), [], `${days} days old`)
    }
    Date.now = () => now() + 8 * 24 * hour
    t.same(await downloads.sweep((name) => name === '602' || name === 'new'), [])
    t.same(await downloads.sweep((name) => name === 'new'), ['602'])
    Date.now = now
    await at.rsync.arrivals.folder('603')
    const sweeps = Promise.all([1, 2, 3].map(() => downloads.sweep(() => false)))
    await t.rejects(at.rsync.ask('build-885'), { message: /too little/ })
    t.same(await readdir(folder), [])
    t.same(await at.rsync.arrivals.list(), [])
    t.same(await sweeps, [[], [], []])
  },
)

t.test(
  'what keeps the disk from being free goes before builds do, and builds that are kept stay',
  async (t) => {
    const at = await school(t, ['a', 'b'], {
      'upgrade-keep-free': '999999999',
      'upgrade-prefetch': 'b@02:30',
    })
    await at.rsync.arrivals.folder('602')
    await mkdir(join(at.house.root, 'upgrade', 'downloads', '885'))
    t.match(await gc(at), [{ name: 'a', why: /upgrade-keep-free/ }])
    t.same(await at.rsync.arrivals.list(), [])
    t.same(await readdir(join(at.house.root, 'upgrade', 'downloads')), [])
  },
)

t.test(
  'the limit is kept whatever order builds are used in, and the newest are those that stay',
  async (t) => {
    await fc.assert(
      fc.asyncProperty(
        fc.uniqueArray(fc.tuple(fc.integer({ min: 1, max: 5 }), fc.integer({ min: 20, max: 5000 })), {
          maxLength: 8,
          selector: ([, age]) => age,
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
      { ...runs(15), endOnFailure: true },
    )
  },
)
