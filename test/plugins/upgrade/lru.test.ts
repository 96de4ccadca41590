import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { definePlugin, token } from '../../../core/api.js'
import { boot } from '../../../core/testing.js'
import type { Build } from '../../../plugins/rsync/public.js'
import upgrade from '../../../plugins/upgrade/plugin.js'
import { until } from '../../support/core/server-process.js'
import { temporaryDirectory } from '../../support/temporary-directory.js'
import { standIn } from '../../support/upgrade/fake-rsync.js'
import { clock, gc, gone, minute, now, school } from '../../support/upgrade/stocked-builds.js'

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
  t.match(
    JSON.parse((await at.house.command(['upgrade', 'list'], { json: true })).out).map(
      ({ sticky }: { sticky: boolean }) => sticky,
    ),
    [true, true, false, false],
    'the list shows both',
  )
  t.match((await at.house.command(['upgrade', 'list'])).out, /^b .* yes /m)
  t.match(await say('remove', 'a'), { ended: { exit: 77, message: /build-a stays: it is sticky/ } })
  t.match(await say('remove', 'b'), { ended: { message: /sticky says so/ } })
  t.match(await say('unstick', 'b'), { ended: { exit: 77, message: /stays all the same: .*sticky says so/ } })
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
    { name: 'e', keep: true, why: 'it was asked for 0 minutes ago' },
    { name: 'a', keep: true, why: 'it was asked for 0 minutes ago' },
  ])
  turned.forth(11 * minute)
  t.match(await gc(at), [{ name: 'e' }])
})

t.test('builds go in the order in which they were used, whatever the clock said', async (t) => {
  const root = await temporaryDirectory(t)
  const at = await school(t, ['a', 'b', 'c', 'd'], { 'upgrade-limit': '9' }, [], root)
  const order = async () => (await gc(at, true)).map(({ name }) => name).join('')
  const use = async (name: string, when: string, then: string) => {
    at.rsync.opened({ module: `build-${name}`, address: '10.0.0.1', at: when })
    await until(async () => (await order()) === then, `${then} after ${name}`)
  }
  t.equal(await order(), 'abcd')
  await use('a', '2036-01-01T00:00:00.000Z', 'bcda')
  await use('b', '1970-01-01T00:00:09.000Z', 'cdab')
  await use('c', now(), 'dabc')
  await at.house.dispose()
  const house = await boot({ plugins: [at.rsync.plugin, upgrade], settings: { 'upgrade-limit': '2' }, root })
  t.teardown(() => house.dispose())
  const next = { house, rsync: at.rsync }
  t.match(await gc(next), [{ name: 'd' }, { name: 'a' }], 'and after the next start')
  const kept = await gc(next, true)
  t.match(kept, [{ name: 'b', keep: true }, { name: 'c' }])
})

t.test('who withdraws a build in rsync hears the words of "upgrade remove"', async (t) => {
  const at = await school(t, ['a', 'b', 'c'])
  await at.house.command(['upgrade', 'stick'], { args: { name: 'a' } })
  t.equal(await at.rsync.whyKept('a'), 'it is sticky ("upgrade unstick" ends that)')
  const b = at.rsync.builds.get('b') as Build
  await writeFile(join(b.path, 'sticky'), '')
  t.equal(await at.rsync.whyKept('b'), `${b.path}/sticky says so`)
  t.equal(await at.rsync.whyKept('c'), undefined)
  at.rsync.active.set('build-c', 1)
  t.equal(await at.rsync.whyKept('c'), 'somebody is fetching build-c')
  const own = await at.rsync.put('own', { from: 'rsync' })
  await writeFile(join(own.path, 'sticky'), '')
  at.rsync.active.set('build-own', 1)
  t.equal(await at.rsync.whyKept('own'), undefined, 'what was not fetched is none of its business')
  t.equal(await at.rsync.whyKept('x'), undefined)
})

t.test('a laptop that fetches from all builds uses those it names', async (t) => {
  const at = await school(t, ['a', 'b', 'c', 'd'], { 'upgrade-limit': '9' })
  const order = async () => (await gc(at, true)).map(({ name }) => name).join('')
  const ask = (paths: string, module = 'builds') =>
    at.rsync.asked({ module, paths, address: '10.0.0.1', at: now() })
  ask('builds/d/root/', 'x')
  ask('xuilds/d/root/ a/builds/d ../builds/d builds/../d')
  ask('builds/b/root/ builds//a/contents builds/c/../nothing')
  await until(async () => (await order()) === 'cdab', 'the news')
  t.equal((await gc(at, true)).at(-1)?.why, 'it was asked for 0 minutes ago')
  ask('builds/./c/root/My documents')
  await until(async () => (await order()) === 'dabc', 'the news')
  for (const all of ['builds/', 'builds', 'builds/[a-d]/contents', 'builds/*']) {
    ask('builds/d')
    await until(async () => (await order()).endsWith('d'), 'one')
    ask('builds/a')
    await until(async () => (await order()).endsWith('da'), 'another')
    ask(all)
    await until(async () => (await order()) === 'abcd', all)
  }
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
