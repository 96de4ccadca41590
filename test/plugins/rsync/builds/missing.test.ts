import { existsSync } from 'node:fs'
import { mkdir, readdir, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { report } from '../../../../core/report.js'
import { cli, startServer, until } from '../../../support/core/server-process.js'
import { needs } from '../../../support/needs.js'
import { adopter } from '../../../support/rsync/build-adopter.js'
import { contents, pack } from '../../../support/rsync/packed-builds.js'
import { reopen } from '../../../support/rsync/reopen-server.js'
import { openHouse, type RsyncHouse } from '../../../support/rsync/rsync-server.js'
import { temporaryDirectory } from '../../../support/temporary-directory.js'

t.setTimeout(300_000)

const has = (t: Test): boolean => needs(t, 'rsync', 'rsync') && needs(t, 'setfattr', 'attr')

const plugins = ['rsync', adopter.plugin]

/** Has a build come from another server. */
async function adopt(name: string): Promise<void> {
  const arrival = await adopter.builds.arrivals.folder(name)
  await mkdir(join(arrival, 'root'))
  for (const path of ['contents', 'root/version']) await writeFile(join(arrival, path), name)
  await adopter.builds.adopt(name, arrival, 'upgrade')
}

const withdraw = (house: RsyncHouse, name: string) => house.command(['rsync', 'withdraw'], { args: { name } })

const rowsOf = async (house: RsyncHouse): Promise<Record<string, unknown>[]> =>
  JSON.parse((await house.command(['rsync', 'list'], { json: true })).out)

const rowOf = async (house: RsyncHouse, name: string) =>
  (await rowsOf(house)).find((row) => row.name === name)

const statusOf = async ({ house }: RsyncHouse): Promise<string> =>
  JSON.stringify(await house.kernel.hooks.gather(report, {}, undefined))

const namesOf = (builds: readonly { readonly name: string }[]): string[] => builds.map(({ name }) => name)

t.test('a build that was lost is listed as missing until somebody has it forgotten', async (t) => {
  if (!has(t)) return
  const house = await openHouse(t, {}, plugins)
  const published = join(house.root, 'rsync', 'pub', 'builds')
  for (const name of ['884', '885', '886', '887']) await adopt(name)
  await house.dispose()
  for (const name of ['884', '885', '886']) await rm(join(published, name), { recursive: true })

  let again = await reopen(t, house, {}, plugins)
  const { builds } = adopter
  t.same([namesOf(builds.list()), namesOf(builds.missing())], [['887'], ['884', '885', '886']])
  t.match(await rowOf(again, 'build-885'), {
    ...{ from: 'upgrade', bytes: Number, publishedAt: String, path: join(published, '885') },
    ...{ isThere: false, clients: [] },
  })
  t.match(await rowOf(again, 'build-887'), { isThere: true })
  const listed = (await again.command(['rsync', 'list'])).out
  t.match(listed, /^build-885 +upgrade .*\/885 \(is not there\)/m)
  t.match(await statusOf(again), /build-885 .*sugar-server rsync withdraw 885/)

  const { ended, out, err } = await withdraw(again, 'build-885')
  t.match([ended.exit, out, err], [0, 'the build 885 is forgotten: it was missing\n', ''])
  t.equal(await builds.remove('886', 'it is of no use'), true, 'so may plugins')
  t.equal(await builds.remove('886', 'it is of no use'), false)
  t.match(await withdraw(again, '885'), { ended: { exit: 66 } })
  await adopt('884')
  t.same(
    [namesOf(builds.list()), namesOf(builds.missing())],
    [['884', '887'], []],
    'what comes anew is there',
  )
  t.notMatch(await statusOf(again), /withdraw/)

  again = await reopen(t, again, {}, plugins)
  t.same(namesOf(adopter.builds.missing()), [], 'for good')
  t.same(
    (await rowsOf(again)).map(({ name }) => name),
    ['build-884', 'build-887', 'builds'],
  )
})

t.test(
  'what is left of a build that lost its manifest goes with it, and is called no stranger',
  async (t) => {
    if (!has(t)) return
    const house = await openHouse(t, {}, plugins)
    const folder = join(house.root, 'rsync')
    const published = join(folder, 'pub', 'builds')
    await adopt('885')
    await house.dispose()
    await rm(join(published, '885', 'contents'))
    const again = await reopen(t, house, {}, plugins)
    t.notMatch(await statusOf(again), /is none of the builds/)
    t.match(await withdraw(again, '885'), { ended: { exit: 0 } })
    t.same(await readdir(published), [])
    await until(async () => (await readdir(join(folder, 'making'))).length === 0, 'the rest of it to go')
    t.notMatch(await statusOf(again), /885/)
  },
)

t.test('a build that is lost while the server runs can be withdrawn at once', async (t) => {
  if (!has(t)) return
  const house = await openHouse(t, {}, plugins)
  const published = join(house.root, 'rsync', 'pub', 'builds')
  await adopt('885')
  await rm(join(published, '885'), { recursive: true })
  t.match(await rowOf(house, 'build-885'), { isThere: false })
  t.match(await withdraw(house, '885'), { ended: { exit: 0 } })
  t.same(adopter.builds.list(), [])
  await adopt('885')
  t.match((await house.rsync('--list-only', '::build-885/contents')).out, /contents/, 'it may come again')
})

t.test('a missing build that another plugin keeps stays known', async (t) => {
  if (!has(t)) return
  const house = await openHouse(t, {}, plugins)
  await adopt('885')
  await house.dispose()
  await rm(join(house.root, 'rsync', 'pub', 'builds', '885'), { recursive: true })
  const again = await reopen(t, house, {}, plugins)
  const release = adopter.builds.keep(async () => 'it is sticky')
  t.match(await withdraw(again, '885'), { ended: { exit: 77, message: 'build-885 stays: it is sticky' } })
  t.same(namesOf(adopter.builds.missing()), ['885'])
  release()
  t.match(await withdraw(again, '885'), { ended: { exit: 0 } })
})

t.test('the warning at a start says what forgets a build, and that works with the doors shut', async (t) => {
  if (!has(t)) return
  const root = join(await temporaryDirectory(t), 'root')
  const args = ['--host', '127.0.0.1', '--httpd-port', '0', '--rsync-port', '0', '--plugins', 'rsync']
  const call = (...words: string[]) => cli(t, ['rsync', ...words, '--root', root, '--plugins', 'rsync'])
  const [packed, published] = [join(root, 'rsync', 'xobuilds-packed'), join(root, 'rsync', 'pub', 'builds')]
  let server = await startServer(t, { root, args })
  for (const name of ['885', '886']) await pack(packed, name, { contents })
  t.match(await call('refresh'), { code: 0, out: /2 published/ })
  await server.stop()
  await rename(packed, `${packed}-away`)
  await rename(published, `${published}-away`)
  server = await startServer(t, { root, args })
  const warned = () => server.log().filter(({ msg }) => /sugar-server rsync withdraw 88[56]/.test(msg))
  t.equal(warned().length, 2)
  t.match(await call('withdraw', '885'), { code: 0, out: /the build 885 is forgotten/ })
  const msg = 'forgot build-885, which was not on the disk: withdrawn by an operator'
  const told = server.log().find((line) => line.msg === msg)
  t.match(told, { build: '885', bytes: 0, reason: 'withdrawn by an operator' })
  t.equal((await server.stop()).code, 0)

  const shut = await call('list', '--json')
  t.match(JSON.parse(shut.out), [{ name: 'build-886', isThere: false }, { name: 'builds' }])
  // Its disk was only not mounted.
  await rm(published, { recursive: true })
  await rename(`${published}-away`, published)
  t.match(JSON.parse((await call('list', '--json')).out), [{ name: 'build-886', isThere: true }, {}])
  await rename(published, `${published}-away`)
  t.match(await call('withdraw', '886'), { code: 0, out: /the build 886 is forgotten/ })
  server = await startServer(t, { root, args })
  t.same(warned(), [])
  t.equal((await server.stop()).code, 0)
  t.notOk(existsSync(join(published, '886')))
})
