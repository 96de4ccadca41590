import { spawnSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdir, readdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import t, { type Test } from 'tap'
import { type Collection, type CollectionSpec, definePlugin } from '../../../../core/api.js'
import { openLog } from '../../../../core/log/log.js'
import { NedbStore } from '../../../../core/store/nedb/store.js'
import { boot } from '../../../../core/testing.js'
import { collections } from '../../../../plugins/rsync/documents.js'
import { until } from '../../../support/core/server-process.js'
import { lacks, needs } from '../../../support/needs.js'
import { adopter } from '../../../support/rsync/build-adopter.js'
import { type Entry, tarOf } from '../../../support/rsync/handmade-tar.js'
import { pack, succeed } from '../../../support/rsync/packed-builds.js'
import { reopen } from '../../../support/rsync/reopen-server.js'
import { openHouse } from '../../../support/rsync/rsync-server.js'
import { temporaryDirectory } from '../../../support/temporary-directory.js'

t.setTimeout(300_000)

/** A disk of a few megabytes; undefined, and the test skipped, where this user cannot mount one. */
async function smallDisk(t: Test, type: 'ext4' | 'tmpfs'): Promise<string | undefined> {
  const folder = await temporaryDirectory(t)
  const disk = join(folder, 'disk')
  await mkdir(disk, { mode: 0o700 })
  const image = join(folder, 'image')
  if (type === 'ext4') {
    await writeFile(image, Buffer.alloc(16 << 20))
    succeed('mkfs.ext4', ['-q', '-m', '0', image])
  }
  const how =
    type === 'ext4' ? ['-o', 'loop', image, disk] : ['-t', 'tmpfs', '-o', 'size=12m,mode=700', 'tmpfs', disk]
  const { status, error, stderr } = spawnSync('mount', how)
  if (status !== 0) {
    lacks(t, `needs a mounted ${type}`, `mount: ${error?.message ?? String(stderr).trim()}`)
    return undefined
  }
  t.teardown(() => void spawnSync('umount', ['--lazy', disk]))
  return disk
}

const file = (name: string, megabytes: number): Entry => ({ name, content: randomBytes(megabytes << 20) })
const packed = (...entries: Entry[]) => ({ tree: gzipSync(tarOf(...entries), { level: 1 }) })
const many = (count: number): Entry[] =>
  Array.from({ length: count }, (_, index) => ({ name: `f${index}`, content: 'x' }))

for (const type of ['ext4', 'tmpfs'] as const) {
  t.test(`on a full ${type} nothing is lost, nothing is left, and removing makes room`, async (t) => {
    for (const [program, debian] of [
      ['rsync', 'rsync'],
      ['setfattr', 'attr'],
      ['mkfs.ext4', 'e2fsprogs'],
    ] as const)
      if (!needs(t, program, debian)) return
    const disk = await smallDisk(t, type)
    if (disk === undefined) return
    const folder = join(disk, 'rsync')
    const from = await temporaryDirectory(t)
    const settings = { 'rsync-root': folder, 'rsync-packed': from }
    const house = await openHouse(t, settings)
    const refresh = () => house.command(['rsync', 'refresh'])
    const list = async () => (await house.rsync('-r', '--list-only', '::build-885/root/')).out
    await pack(from, '885', packed(file('was', 2)))
    t.match(await refresh(), { out: /885 published/ })
    const before = await list()

    for (const entries of [[file('large', 9), file('larger', 9)], many(20_000)]) {
      await pack(from, '885', packed(...entries))
      await pack(from, '886', packed(...entries))
      const { out, err, ended } = await refresh()
      t.match(err, /885 refused: there is no room to write/)
      t.match(err, /886 refused: there is no room to write/)
      t.match(out, /0 published, 0 as they were, 0 withdrawn, 2 refused/)
      t.equal(ended.exit, 65)
      t.equal(await list(), before, 'what was published is as it was')
      await until(
        async () => (await readdir(join(folder, 'making'))).length === 0,
        'all that was begun to go',
      )
    }
    t.same(await readdir(join(folder, 'pub', 'builds')), ['885'])

    const ballast = spawnSync('sh', ['-c', 'cat /dev/zero > ballast'], { cwd: disk })
    t.match(String(ballast.stderr), /No space left/)
    const again = await reopen(t, house, settings)
    const listed = await again.rsync('-r', '--list-only', '::build-885/root/')
    t.equal(listed.out, before, 'nor does a start need any room')
    t.match(await again.command(['rsync', 'withdraw'], { args: { name: '885' } }), { ended: { exit: 0 } })
    await until(async () => (await readdir(join(folder, 'making'))).length === 0, 'the build to go')
    await pack(from, '886', packed(file('new', 1)))
    t.match(await again.command(['rsync', 'refresh']), { out: /886 published/ }, 'there is room again')
  })
}

interface Line {
  readonly name: string
  readonly text: string
}

/** A plugin that writes, too. */
let lines: Collection<Line> | undefined
const writer = definePlugin({
  name: 'writer',
  api: 1,
  summary: 'Writes.',
  collections: { lines: { key: 'name' } as CollectionSpec<Line> },
  start({ store }) {
    lines = store.lines
  },
})

t.test('builds go also where the disk is full that holds the store, and do not come back', async (t) => {
  if (!needs(t, 'rsync', 'rsync') || !needs(t, 'setfattr', 'attr')) return
  const root = await smallDisk(t, 'tmpfs')
  if (root === undefined) return
  const from = await temporaryDirectory(t)
  const settings = { 'rsync-packed': from }
  const house = await boot({ plugins: ['rsync', adopter.plugin, writer], settings, root })
  t.teardown(() => house.dispose())
  for (const name of ['884', '885', '886']) await pack(from, name, packed(file('was', 1)))
  t.match(await house.command(['rsync', 'refresh']), { out: /3 published/ })
  const ballast = spawnSync('sh', ['-c', 'cat /dev/zero > ballast'], { cwd: root })
  t.match(String(ballast.stderr), /No space left/)
  const write = async (text: string) => await lines?.insert({ name: `${text.length}`, text })
  const isWritable = () =>
    write('').then(
      () => true,
      () => false,
    )
  await t.rejects(write('x'.repeat(20_000)), { code: /STORE/ })
  t.match(await house.command(['rsync', 'withdraw'], { args: { name: '884' } }), { ended: { exit: 0 } })
  t.equal(await adopter.builds.remove('885', 'for want of room'), true)
  t.match(await house.command(['rsync', 'list'], { json: true }), { out: /build-886/ })
  t.same(await readdir(join(root, 'rsync', 'pub', 'builds')), ['886'])
  await rm(join(root, 'ballast'))
  await until(async () => (await readdir(join(root, 'rsync', 'making'))).length === 0, 'the builds to go')
  await until(isWritable, 'the store to take changes', 60_000)
  await house.dispose()
  const store = new NedbStore(join(root, 'store'), openLog('silent').logger)
  t.teardown(() => store.close())
  const kept = await store.open('rsync/builds', collections.builds)
  t.same(
    (await kept.find({})).map(({ name }) => name),
    ['886'],
  )
})

t.test('a build that is missing is forgotten for good, or not at all where the disk is full', async (t) => {
  if (!needs(t, 'rsync', 'rsync') || !needs(t, 'setfattr', 'attr')) return
  const root = await smallDisk(t, 'tmpfs')
  if (root === undefined) return
  const settings = { 'rsync-packed': await temporaryDirectory(t) }
  const house = await boot({ plugins: ['rsync', adopter.plugin, writer], settings, root })
  t.teardown(() => house.dispose())
  await pack(settings['rsync-packed'], '885', packed(file('was', 1)))
  t.match(await house.command(['rsync', 'refresh']), { out: /1 published/ })
  await house.dispose()
  await rm(join(root, 'rsync', 'pub', 'builds', '885'), { recursive: true })
  await rm(settings['rsync-packed'], { recursive: true })
  const again = await boot({ plugins: ['rsync', adopter.plugin, writer], settings, root })
  t.teardown(() => again.dispose())
  const ballast = spawnSync('sh', ['-c', 'cat /dev/zero > ballast'], { cwd: root })
  t.match(String(ballast.stderr), /No space left/)
  await t.rejects(Promise.resolve(lines?.insert({ name: 'x', text: 'x'.repeat(20_000) })), { code: /STORE/ })
  const withdraw = () => again.command(['rsync', 'withdraw'], { args: { name: '885' } })
  t.match(await withdraw(), { ended: { code: /STORE/ } })
  t.match(adopter.builds.missing(), [{ name: '885' }], 'nobody was told otherwise')
  await rm(join(root, 'ballast'))
  await until(async () => (await withdraw()).ended.exit === 0, 'the store to take changes', 60_000)
  t.same(adopter.builds.missing(), [])
})

t.test('what has come from another server is where it was when there is no room to adopt it', async (t) => {
  if (!needs(t, 'rsync', 'rsync') || !needs(t, 'setfattr', 'attr')) return
  const disk = await smallDisk(t, 'tmpfs')
  if (disk === undefined) return
  const folder = join(disk, 'rsync')
  const house = await openHouse(t, { 'rsync-root': folder }, ['rsync', adopter.plugin])
  const { builds } = adopter
  const arrival = await builds.arrivals.folder('885')
  await mkdir(join(arrival, 'root'))
  for (const path of ['contents', 'root/file']) await writeFile(join(arrival, path), path)
  const ballast = spawnSync('sh', ['-c', 'cat /dev/zero > ballast'], { cwd: disk })
  t.match(String(ballast.stderr), /No space left/)
  const noRoom = { code: 'NO_SPACE', message: /there is no room to write/ }
  await t.rejects(builds.adopt('885', arrival, 'upgrade'), noRoom)
  t.same((await readdir(arrival)).sort(), ['contents', 'root'])
  t.same(await readdir(join(folder, 'making')), [])
  await rm(join(disk, 'ballast'))
  t.match(await builds.adopt('885', arrival, 'upgrade'), { name: '885', entries: 1 })
  t.same(await builds.arrivals.list(), [])
  const { out } = await house.rsync('-r', '--list-only', '::build-885/root/')
  t.match(out, /^-rw-r--r-- .* file$/m)
})
