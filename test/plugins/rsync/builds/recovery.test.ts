import { spawnSync } from 'node:child_process'
import { mkdir, readdir, readFile, rename, rmdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import t, { type Test } from 'tap'
import { report } from '../../../../core/report.js'
import { until } from '../../../support/core/server-process.js'
import { lacks, needs } from '../../../support/needs.js'
import { adopter } from '../../../support/rsync/build-adopter.js'
import { tarOf } from '../../../support/rsync/handmade-tar.js'
import { pack, succeed } from '../../../support/rsync/packed-builds.js'
import { reopen } from '../../../support/rsync/reopen-server.js'
import { openHouse, type RsyncHouse } from '../../../support/rsync/rsync-server.js'
import { noAttributes, shadow } from '../../../support/shadow-program.js'
import { temporaryDirectory } from '../../../support/temporary-directory.js'

t.setTimeout(300_000)

const has = (t: Test): boolean => needs(t, 'rsync', 'rsync') && needs(t, 'setfattr', 'attr')

const versionOf = (text: string) => ({ tree: gzipSync(tarOf({ name: 'version', content: text })) })

/** What a laptop gets of the build. */
const got = async (house: RsyncHouse, path = 'build-885/root/version'): Promise<string> => {
  const { code, err } = await house.rsync('-p', `::${path}`, join(house.beside, 'got'))
  return code === 0 ? await readFile(join(house.beside, 'got'), 'utf8') : err
}

const statusOf = async ({ house }: RsyncHouse): Promise<string> =>
  JSON.stringify(await house.kernel.hooks.gather(report, {}, undefined))

/** Keeps a directory as it is until it is let go; undefined, and the test skipped, where that cannot be. */
function hold(t: Test, folder: string): (() => void) | undefined {
  if (!needs(t, 'chattr', 'e2fsprogs')) return undefined
  const { status, stderr } = spawnSync('chattr', ['+i', folder])
  if (status !== 0) {
    lacks(t, 'needs a directory that can be held', `chattr: ${String(stderr).trim()}`)
    return undefined
  }
  const release = () => void spawnSync('chattr', ['-i', folder])
  t.teardown(release)
  return release
}

/** Has a sealed draft say that it was made in many years. */
async function postdate(seal: string): Promise<void> {
  const text = await readFile(seal, 'utf8').catch(() => undefined)
  if (text === undefined) return
  await writeFile(seal, JSON.stringify({ ...JSON.parse(text), publishedAt: '2099-01-01T00:00:00.000Z' }))
}

t.test('what could not take its place comes at the next start, unless something newer has', async (t) => {
  if (!has(t)) return
  const house = await openHouse(t)
  const folder = join(house.root, 'rsync')
  const packed = join(await temporaryDirectory(t), 'packed')
  const refresh = (house: RsyncHouse) => house.command(['rsync', 'refresh'])
  const drafts = async () =>
    (await readdir(join(folder, 'making'))).filter((name) => name.startsWith('draft-'))
  const settings = { 'rsync-packed': packed }
  let served = await reopen(t, house, settings)
  await pack(packed, '885', versionOf('first'))
  t.match(await refresh(served), { ended: { exit: 0 } })
  await until(async () => (await drafts()).length === 0, 'its draft to go')
  for (const isReplaced of [false, true]) {
    const release = hold(t, join(folder, 'pub', 'builds'))
    if (release === undefined) return
    const version = isReplaced ? 'third' : 'second'
    await pack(packed, '885', versionOf(version))
    t.match(await refresh(served), { err: /885 refused: .* cannot be written/, ended: { exit: 65 } })
    t.equal(await got(served), isReplaced ? 'second' : 'first', 'what was there is served')
    release()
    if (isReplaced) {
      // The clock was ahead when it was made, and has been set since.
      for (const draft of await drafts()) await postdate(join(folder, 'making', draft, 'build.json'))
      await pack(packed, '885', versionOf('fourth'))
      t.match(await refresh(served), { ended: { exit: 0 } })
      await until(async () => (await drafts()).length === 0, 'both drafts to go')
    }
    served = await reopen(t, served, { 'rsync-packed': join(packed, 'none') })
    t.equal(await got(served), isReplaced ? 'fourth' : 'second')
    await until(async () => (await readdir(join(folder, 'making'))).length === 0, 'the rest to go')
    served = await reopen(t, served, settings)
  }
})

t.test('what could not take its place does not come when its build has been withdrawn since', async (t) => {
  if (!has(t)) return
  const house = await openHouse(t)
  const folder = join(house.root, 'rsync')
  const packed = join(folder, 'xobuilds-packed')
  await pack(packed, '885', versionOf('first'))
  t.match(await house.command(['rsync', 'refresh']), { ended: { exit: 0 } })
  const release = hold(t, join(folder, 'pub', 'builds'))
  if (release === undefined) return
  await pack(packed, '885', versionOf('second'))
  t.match(await house.command(['rsync', 'refresh']), { ended: { exit: 65 } })
  release()
  t.match(await house.command(['rsync', 'withdraw'], { args: { name: '885' } }), { ended: { exit: 0 } })
  await until(async () => (await readdir(join(folder, 'making'))).length === 0, 'all of it to go')
  const again = await reopen(t, house, { 'rsync-packed': join(house.beside, 'none') })
  t.match(await got(again), /Unknown module 'build-885'/)
})

t.test('a start needs no seal that can be read, and no attribute that can be set', async (t) => {
  if (!has(t)) return
  const house = await openHouse(t)
  const folder = join(house.root, 'rsync')
  await pack(join(folder, 'xobuilds-packed'), '885', versionOf('first'))
  t.match(await house.command(['rsync', 'refresh']), { ended: { exit: 0 } })
  await house.dispose()
  for (const [index, text] of ['', '{', 'null', '7', '[]', '{"name":7}', '{"name":"../885"}'].entries()) {
    await mkdir(join(folder, 'making', `draft-${index}`, 'build'), { recursive: true })
    await writeFile(join(folder, 'making', `draft-${index}`, 'build.json'), text)
  }
  const words = 'echo "setfattr: $*: No space left on device" >&2; exit 1'
  const release = await shadow(t, 'setfattr', words)
  const again = await reopen(t, house)
  release()
  t.equal(await got(again), 'first')
  await until(async () => (await readdir(join(folder, 'making'))).length === 0, 'the rest to go')
})

t.test('what nobody knows below builds is named, until it is a build', async (t) => {
  if (!has(t)) return
  const house = await openHouse(t)
  const folder = join(house.root, 'rsync')
  await house.dispose()
  for (const name of ['885', 'stray', 'red\u001b[31m']) await mkdir(join(folder, 'pub', 'builds', name))
  const again = await reopen(t, house)
  const problems = await statusOf(again)
  for (const part of ['885 is none of', 'stray is none of', 'and is not served: move it away'])
    t.match(problems, part)
  t.match(problems, /red\\\\u001b/, 'no name speaks to a terminal')
  await pack(join(folder, 'xobuilds-packed'), '885', versionOf('first'))
  t.match(await again.command(['rsync', 'refresh']), { out: /885 published/ })
  t.notMatch(await statusOf(again), /885 is none of/)
  t.match(await statusOf(again), /stray is none of/)
})

t.test('builds whose disk was not mounted at a start are there again when it is', async (t) => {
  if (!has(t)) return
  const house = await openHouse(t, {}, ['rsync', adopter.plugin])
  const published = join(house.root, 'rsync', 'pub', 'builds')
  const arrival = await adopter.builds.arrivals.folder('885')
  await mkdir(join(arrival, 'root'))
  for (const path of ['contents', 'root/version']) await writeFile(join(arrival, path), 'fetched')
  const build = await adopter.builds.adopt('885', arrival, 'upgrade')
  await house.dispose()
  await rename(published, join(house.beside, 'disk'))
  const plugins = ['rsync', adopter.plugin]
  let again = await reopen(t, house, {}, plugins)
  t.match(await got(again), /Unknown module 'build-885'/)
  t.same(adopter.builds.list(), [])
  await again.dispose()
  await rmdir(published)
  await rename(join(house.beside, 'disk'), published)
  again = await reopen(t, again, {}, plugins)
  t.equal(await got(again), 'fetched')
  t.same(adopter.builds.list(), [build])
  t.ok(await adopter.builds.remove('885', 'it is of no use'))
  again = await reopen(t, again, {}, plugins)
  t.same(adopter.builds.list(), [])
})

t.test('a link in the place of a build is replaced and removed as such, wherever it leads', async (t) => {
  if (!has(t)) return
  const house = await openHouse(t)
  const published = join(house.root, 'rsync', 'pub', 'builds')
  const packed = join(house.root, 'rsync', 'xobuilds-packed')
  await pack(packed, '885', versionOf('first'))
  const elsewhere = join(house.beside, '885')
  for (const target of [elsewhere, join(house.beside, 'nowhere')]) {
    t.match(await house.command(['rsync', 'refresh'], { options: { force: 'true' } }), { ended: { exit: 0 } })
    t.equal(await got(house), 'first')
    succeed('sh', [
      '-c',
      'rm -rf "$2"; mv "$1" "$2"; ln -s "$3" "$1"',
      'sh',
      join(published, '885'),
      elsewhere,
      target,
    ])
  }
  t.match(await house.command(['rsync', 'refresh'], { options: { force: 'true' } }), { ended: { exit: 0 } })
  t.equal(await got(house), 'first')
  succeed('sh', ['-c', 'rm -rf "$2"; mv "$1" "$2"; ln -s "$2" "$1"', 'sh', join(published, '885'), elsewhere])
  t.match(await house.command(['rsync', 'withdraw'], { args: { name: '885' } }), { ended: { exit: 0 } })
  await until(async () => (await readdir(join(house.root, 'rsync', 'making'))).length === 0, 'the link to go')
  t.equal(await readFile(join(elsewhere, 'root', 'version'), 'utf8'), 'first', 'what it led to stays')
})

t.test('builds whose owners are kept in two ways are not served together', async (t) => {
  if (!has(t) || !needs(t, 'fakeroot', 'fakeroot')) return
  const house = await openHouse(t)
  const folder = join(house.root, 'rsync')
  const release = await shadow(t, 'setfattr', noAttributes)
  const without = await reopen(t, house)
  await pack(join(folder, 'xobuilds-packed'), '885', versionOf('first'))
  t.match(await without.command(['rsync', 'refresh']), { out: /885 published/ })
  t.equal(await got(without, 'builds/885/root/version'), 'first')
  release()

  const again = await reopen(t, without)
  await pack(join(folder, 'xobuilds-packed'), '886', versionOf('other'))
  t.match(await again.command(['rsync', 'refresh']), { out: /886 published/ })
  for (const [name, text] of [
    ['885', 'first'],
    ['886', 'other'],
  ] as const)
    t.equal(await got(again, `build-${name}/root/version`), text)
  t.match(await got(again, 'builds/885/root/version'), /Unknown module 'builds'/)
  t.match(await statusOf(again), /served one by one only, .* some, such as 885, .*refresh --force/)
  t.match(await again.command(['rsync', 'refresh'], { options: { force: 'true' } }), { ended: { exit: 0 } })
  t.equal(await got(again, 'builds/885/root/version'), 'first')
  t.notMatch(await statusOf(again), /one by one/)
})

t.test(
  'when states of fakeroot cannot be put in order, nothing is served with the wrong owners',
  async (t) => {
    if (!has(t) || !needs(t, 'fakeroot', 'fakeroot')) return
    const house = await openHouse(t)
    const folder = join(house.root, 'rsync')
    await shadow(t, 'setfattr', noAttributes)
    const first = await reopen(t, house)
    await mkdir(join(folder, 'pub', 'films'))
    await writeFile(join(folder, 'pub', 'films', 'a'), 'a film')
    await pack(join(folder, 'xobuilds-packed'), '885', versionOf('first'))
    t.match(await first.command(['rsync', 'refresh']), { out: /885 published/ })
    await first.dispose()
    // The machine was started anew, and its disk has another number now.
    const owners = join(folder, 'owners')
    for (const name of await readdir(owners))
      succeed('sed', ['-i', 's/^dev=[0-9a-f]*/dev=beef/', join(owners, name)])
    succeed('rm', ['-f', '.builds'], owners)
    const release = hold(t, owners)
    if (release === undefined) return
    const full = await reopen(t, first)
    t.match(await got(full), /Unknown module 'build-885'/)
    t.match(await got(full, 'builds/885/root/version'), /Unknown module 'builds'/)
    t.equal(await got(full, 'films/a'), 'a film', 'the rest is')
    t.match(await statusOf(full), /states of fakeroot could not be written/)
    release()
    const again = await reopen(t, full)
    t.equal(await got(again), 'first')
    t.match((await again.rsync('--list-only', '::build-885/root/version')).out, /^-rw-r--r-- /)
  },
)
