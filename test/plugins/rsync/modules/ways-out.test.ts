import { rm, symlink } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { waysOut } from '../../../../plugins/rsync/modules/ways-out.js'
import { cli } from '../../../support/core/server-process.js'
import { needs } from '../../../support/needs.js'
import { fill, openHouse } from '../../../support/rsync/rsync-server.js'
import { temporaryDirectory } from '../../../support/temporary-directory.js'

const { signal } = new AbortController()

t.test('links that lead out of what an operator publishes are told at once', async (t) => {
  if (!needs(t, 'rsync', 'rsync')) return
  const house = await openHouse(t)
  const folder = join(house.beside, 'films')
  await fill(folder, { 'deep/film': 'film' })
  await symlink('deep/film', join(folder, 'latest'))
  const publish = () => house.command(['rsync', 'publish'], { args: { dir: folder } })
  t.match(await publish(), { ended: { exit: 0 }, err: '' }, 'a link within is none of them')
  await symlink('/etc/passwd', join(folder, 'deep', 'up'))
  const { ended, err } = await publish()
  t.equal(ended.exit, 0)
  t.match(err, /^films: 1 link leads out of it.*: deep\/up -> \/etc\/passwd; remove them, or publish/)
  t.match((await cli(t, ['status', '--root', house.root])).out, /deep\/up -> \/etc\/passwd/)
  await rm(join(folder, 'deep', 'up'))
  t.equal((await publish()).err, '')
})

t.test('and in directories below pub, by the list and by status', async (t) => {
  if (!needs(t, 'rsync', 'rsync')) return
  const house = await openHouse(t)
  await fill(join(house.pub, 'films'), { film: 'film' })
  await fill(join(house.pub, 'more'), { film: 'film' })
  const list = async () => (await house.command(['rsync', 'list'])).err
  t.equal(await list(), '')
  await symlink('../more/film', join(house.pub, 'films', 'beside'))
  await fill(join(house.pub, 'books'), { book: 'book' })
  for (const n of [1, 2, 3, 4]) await symlink(house.root, join(house.pub, 'books', `\u001b${n}`))
  t.match(
    await list(),
    /^books: 4 links lead out of it.*: (?:\\u001b\d -> \/.*, ){3}\.\.\.; remove them, or publish/,
  )
  t.notMatch(await list(), 'films')
  t.match((await cli(t, ['status', '--root', house.root])).out, /books: 4 links/)
})

t.test('what leads out is known wherever it is and however it does so', async (t) => {
  const place = await temporaryDirectory(t)
  const [folder, pub] = [join(place, 'folder'), join(place, 'pub')]
  await fill(folder, { 'a/b/file': 'x' })
  await fill(pub, { other: 'x' })
  await fill(place, { secret: 'x' })
  const link = (to: string, from: string) => symlink(to, join(folder, from))
  for (const [to, from] of [
    ['b/file', 'a/within'],
    ['../a', 'a/b/up'],
    [join(folder, 'a'), 'absolute'],
    ['none', 'dangling'],
    ['self', 'self'],
    ['../pub/other', 'published'],
  ] as const) {
    await link(to, from)
  }
  t.match(await waysOut(folder, pub, signal), { count: 0, isWhole: true })
  await link('../../secret', 'a/out')
  await link('a/out', 'by another')
  await link('../not there yet', 'dangling out')
  await link('../folder-too', 'alike')
  const found = await waysOut(folder, pub, signal)
  t.equal(found?.count, 4)
  t.equal(found?.some.length, 3, 'some are named')
  t.match(await waysOut(join(place, 'none'), pub, signal), { count: 0 }, 'what is not there has none')
  await symlink(folder, join(place, 'way'))
  t.equal((await waysOut(join(place, 'way'), pub, signal))?.count, 4, 'by another path, too')
  t.equal(await waysOut(folder, pub, AbortSignal.abort()), undefined)
})

t.test('there is an end to looking', async (t) => {
  const place = await temporaryDirectory(t)
  await fill(place, Object.fromEntries(Array.from({ length: 20 }, (_, n) => [`${n}/file`, 'x'])))
  t.match(await waysOut(place, place, signal, 40), { isWhole: true })
  t.match(await waysOut(place, place, signal, 39), { isWhole: false })
})
