import { randomBytes } from 'node:crypto'
import { mkdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { definePlugin } from '../../../../core/api.js'
import { Builds } from '../../../../plugins/rsync/public.js'
import { until } from '../../../support/core/server-process.js'
import { needs } from '../../../support/needs.js'
import { pack, smallTree } from '../../../support/rsync/packed-builds.js'
import { fill, openHouse, RawClient, type RsyncHouse } from '../../../support/rsync/rsync-server.js'

/** Keeps the build 885 until it is told otherwise. */
function keeper() {
  let why: string | undefined = 'it is sticky; run "upgrade unstick 885" first'
  const plugin = definePlugin({
    name: 'keeper',
    api: 1,
    summary: 'keeps',
    needs: { builds: Builds },
    start(ctx) {
      ctx.defer(ctx.needs.builds.keep(async (name) => (name === '885' ? why : undefined)))
    },
  })
  return {
    plugin,
    release: () => {
      why = undefined
    },
  }
}

const withdraw = (house: RsyncHouse, name: string) => house.command(['rsync', 'withdraw'], { args: { name } })
const list = async (house: RsyncHouse) => (await house.command(['rsync', 'list'])).out

t.test('a build that is withdrawn goes on to those who fetch it, and that is said', async (t) => {
  if (!needs(t, 'rsync', 'rsync')) return
  const { plugin, release } = keeper()
  const house = await openHouse(t, {}, ['rsync', plugin])
  const film = randomBytes(3 << 20)
  const files = [1, 2, 3].map((n) => ({ name: `${n}/film`, content: film }))
  await pack(join(house.root, 'rsync', 'xobuilds-packed'), '885', { tree: smallTree(...files) })
  const refreshed = await house.command(['rsync', 'refresh'])
  t.equal(refreshed.ended.exit, 0, refreshed.err)
  t.match(await list(house), new RegExp(`^build-885 .* ${house.pub}/builds/885$`, 'm'), 'where it is')
  const [one, two] = [1, 2].map((n) => join(house.beside, `${n}`)) as [string, string]
  const pulls = [one, two].map((to) => house.rsync('-a', '--bwlimit=4000', '::build-885/root/', to))
  const all = new RawClient(t, house.port)
  await all.ask('builds\n')
  await until(async () => (await house.fetching()).length === 3, 'three clients')
  const kept = await withdraw(house, '885')
  t.equal(kept.ended.exit, 77)
  t.match(kept.ended, { message: 'build-885 stays: it is sticky; run "upgrade unstick 885" first' })
  release()
  const withdrawn = await withdraw(house, 'build-885')
  t.equal(withdrawn.ended.exit, 0)
  t.equal(withdrawn.out, 'the build 885 is removed\n')
  t.match(withdrawn.err, '2 clients are fetching it, and will get the whole of it\n')
  t.match(withdrawn.err, '1 client is fetching from "builds", where it is missing from now on\n')
  t.match(withdrawn.err, 'it comes again with the next refresh: remove its .name')
  t.notMatch(await list(house), 'build-885')
  for (const { code, err } of await Promise.all(pulls)) t.equal(code, 0, err)
  for (const to of [one, two]) t.ok(film.equals(await readFile(join(to, '3', 'film'))))
})

t.test('what cannot be withdrawn is said to be there, and why it stays', async (t) => {
  if (!needs(t, 'rsync', 'rsync')) return
  const house = await openHouse(t)
  await mkdir(join(house.pub, 'films'))
  t.match(await withdraw(house, 'films'), {
    ended: { exit: 77, message: /^films is published because it lies below pub$/ },
  })
  t.match(await withdraw(house, 'builds'), {
    ended: { exit: 77, message: /^builds is published by a plugin/ },
  })
  t.match(await withdraw(house, 'none'), { ended: { exit: 66 } })
})

t.test('who names a directory that cannot be published reads what to do', async (t) => {
  if (!needs(t, 'rsync', 'rsync')) return
  const house = await openHouse(t)
  await mkdir(join(house.pub, 'films'))
  await fill(house.beside, { 'two words/x': 'x', 'films/x': 'x' })
  const publish = (dir: string) =>
    house.command(['rsync', 'publish'], { args: { dir: join(house.beside, dir) } })
  const hint = /^choose another name with --as/
  t.match(await publish('two words'), { ended: { exit: 65, hint } })
  t.match(await publish('films'), { ended: { exit: 77, hint } })
  t.match(await publish('none'), { ended: { exit: 66, message: /^there is no \/.*none$/ } })
})

t.test('of many clients, the list names some and counts the others', async (t) => {
  if (!needs(t, 'rsync', 'rsync')) return
  const house = await openHouse(t)
  await mkdir(join(house.pub, 'films'))
  const clients = Array.from({ length: 5 }, () => new RawClient(t, house.port))
  for (const client of clients) await client.ask('films\n')
  await until(async () => (await house.fetching()).length === 5, 'five clients')
  t.match(await list(house), /^films .* 127\.0\.0\.1 127\.0\.0\.1 127\.0\.0\.1 and 2 more$/m)
})
