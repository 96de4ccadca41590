import { pino } from 'pino'
import t from 'tap'
import { definePlugin, RequestError, token } from '../../../core/api.js'
import { boot } from '../../../core/testing.js'
import upgrade from '../../../plugins/upgrade/plugin.js'
import { parsePrefetch } from '../../../plugins/upgrade/prefetch/plan.js'
import { Prefetch } from '../../../plugins/upgrade/prefetch/prefetch.js'
import { until } from '../../support/core/server-process.js'
import { standIn } from '../../support/upgrade/fake-rsync.js'
import { packed, upstream } from '../../support/upgrade/upstream.js'

const quiet = pino({ level: 'silent' })
const minute = 60_000
const at = (text: string) => new Date(text).getTime()

t.test('a build is fetched at its time of each day', async (t) => {
  const begun: string[] = []
  const { now } = Date
  t.teardown(() => {
    Date.now = now
  })
  Date.now = () => at('2026-03-02T01:00:00')
  const prefetch = new Prefetch(
    [parsePrefetch('885@02:30')],
    () => [],
    (name) => void begun.push(name),
    quiet,
  )
  for (let moment = at('2026-03-02T01:00:20'); moment < at('2026-03-04T12:00:00'); moment += minute)
    prefetch.look(moment)
  t.same(begun, ['885', '885', '885'], 'whoever fetches knows whether it is there')
})

t.test(
  'a build that laptops are told to fetch is fetched as soon as it is named, then each hour',
  async (t) => {
    const begun: string[] = []
    let hints = ['885', '../../etc', '-e']
    const prefetch = new Prefetch(
      [],
      () => hints,
      (name) => void begun.push(name),
      quiet,
    )
    prefetch.look(0)
    t.same(begun, ['885'])
    for (let moment = minute; moment <= 60 * minute; moment += minute) prefetch.look(moment)
    t.same(begun, ['885', '885'])
    hints = ['602']
    prefetch.look(61 * minute)
    t.same(begun.slice(2), ['602'])
    hints = ['602', '885']
    prefetch.look(62 * minute)
    t.same(begun.slice(3), ['885'], 'named again')
    prefetch.look(-1000 * minute)
    t.same(begun.slice(4).sort(), ['602', '885'], 'a clock that was set back stops nothing')
  },
)

t.test('a build that cannot be fetched now keeps no other from it', async (t) => {
  const begun: string[] = []
  const want = (name: string) => {
    begun.push(name)
    throw new RequestError('UNAVAILABLE', 'it has just failed')
  }
  const prefetch = new Prefetch([], () => ['a', 'b'], want, quiet)
  prefetch.look()
  t.same(begun, ['a', 'b'])
  const broken = new Prefetch(
    [],
    () => ['a'],
    () => {
      throw new TypeError('a fault')
    },
    quiet,
  )
  t.throws(() => broken.look(), TypeError)
})

t.test('a school looks each minute what is to be fetched, and each ten minutes what is to go', async (t) => {
  const from = await upstream(t, {
    ...packed('885', Buffer.alloc(1000)),
    ...packed('602', Buffer.alloc(1000)),
  })
  const rsync = await standIn(t)
  const Hints = token<{ builds(): readonly string[] }>('activation/hints@1')
  const activation = definePlugin({
    name: 'activation',
    api: 1,
    summary: 'stands in',
    provides: { hints: Hints },
    start: () => ({ hints: { builds: () => ['885', 'no build'] } }),
  })
  const jobs: [seconds: number, job: () => unknown][] = []
  const steered = {
    ...upgrade,
    async start(ctx: Parameters<typeof upgrade.start>[0]) {
      const every = (seconds: number, job: () => unknown) => void jobs.push([seconds, job])
      await upgrade.start(Object.create(ctx as object, { every: { value: every } }))
    },
  }
  const soon = new Date(Date.now() - 1000)
  const two = (number: number) => String(number).padStart(2, '0')
  const house = await boot({
    plugins: [rsync.plugin, activation, steered],
    settings: {
      'upgrade-sources': `${from.url}/{name}`,
      'upgrade-keep-free': '0',
      'upgrade-limit': '1',
      'upgrade-prefetch': `602@${two((soon.getHours() + 12) % 24)}:${two(soon.getMinutes())}`,
    },
  })
  t.teardown(() => house.dispose())
  t.same(
    jobs.map(([seconds]) => seconds),
    [60, 600],
  )
  for (const [, job] of jobs) await job()
  await until(() => rsync.builds.has('885'), 'the build that laptops are told of')
  for (const [, job] of jobs) await job()
  t.equal(from.count('GET', '/885-tree.tar.bz2'), 1, 'what is here is not fetched again')
  t.notOk(rsync.builds.has('602'), 'that is for later')
  const { now } = Date
  t.teardown(() => {
    Date.now = now
  })
  Date.now = () => now() + 12 * 3_600_000
  await rsync.put('old', { bytes: 5_000_000, publishedAt: '2020-01-01T00:00:00.000Z' })
  for (const [, job] of jobs) await job()
  await until(() => rsync.builds.has('602'), 'the build for this time of day')
  t.same(
    rsync.removed.map(({ name }) => name),
    ['old'],
  )
})
