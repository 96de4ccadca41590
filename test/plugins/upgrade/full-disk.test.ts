import { spawnSync } from 'node:child_process'
import { mkdirSync, rmSync } from 'node:fs'
import { chmod, mkdir, open, readdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { SystemError } from '../../../core/api.js'
import { openLog } from '../../../core/log/log.js'
import { NedbStore } from '../../../core/store/nedb/store.js'
import { boot } from '../../../core/testing.js'
import { collections } from '../../../plugins/upgrade/documents.js'
import { Uses } from '../../../plugins/upgrade/lru/uses.js'
import upgrade from '../../../plugins/upgrade/plugin.js'
import { School } from '../../../plugins/upgrade/sources/school.js'
import { until } from '../../support/core/server-process.js'
import { needs } from '../../support/needs.js'
import { temporaryDirectory } from '../../support/temporary-directory.js'
import { bring, site } from '../../support/upgrade/build-site.js'
import { standIn } from '../../support/upgrade/fake-rsync.js'
import { rsyncDaemon } from '../../support/upgrade/rsync-daemon.js'
import { packed, upstream } from '../../support/upgrade/upstream.js'

/** A disk of a few megabytes; undefined, and the test skipped, where this user cannot mount one. */
async function smallDisk(t: Test, kind: 'tmpfs' | 'ramfs' = 'tmpfs'): Promise<string | undefined> {
  const disk = join(await temporaryDirectory(t), 'disk')
  mkdirSync(disk, { mode: 0o700 })
  const options = ['-t', kind, '-o', kind === 'tmpfs' ? 'size=8m,mode=700' : 'mode=700', kind, disk]
  const { status, error, stderr } = spawnSync('mount', options)
  if (status !== 0) {
    t.pass(`needs a mounted ${kind}`, { skip: `mount: ${error?.message ?? String(stderr).trim()}` })
    return undefined
  }
  t.teardown(() => void spawnSync('umount', ['--lazy', disk]))
  return disk
}

async function fill(path: string): Promise<void> {
  const file = await open(path, 'w')
  for (let size = 1 << 20; size >= 1; size = Math.floor(size / 16)) {
    try {
      for (;;) await file.write(Buffer.alloc(size, 1))
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error
    }
  }
  await file.close()
}

t.test('a disk that fills up while a build comes costs that build, and nothing else', async (t) => {
  const disk = await smallDisk(t)
  if (disk === undefined) return
  const tree = Buffer.alloc(1_000_000, 'x')
  let finish: (() => void) | undefined
  const files = packed('885', tree, {
    get(_, response) {
      response.writeHead(200, { 'Content-Length': tree.length })
      response.write(tree.subarray(0, 400_000))
      finish = () => response.end(tree.subarray(400_000))
    },
  })
  const from = await upstream(t, files)
  const rsync = await standIn(t)
  await rsync.put('602', { publishedAt: '2020-01-01T00:00:00.000Z' })
  const settings = { 'upgrade-sources': `${from.url}/{name}`, 'upgrade-keep-free': '0' }
  const house = await boot({ plugins: [rsync.plugin, upgrade], settings, root: disk })
  t.teardown(() => house.dispose())
  const asked = rsync.ask('build-885')
  asked.catch(() => undefined)
  await until(() => finish !== undefined, 'the download')
  await fill(join(disk, 'ballast'))
  finish?.()
  await t.rejects(asked, {
    message: /^build-885 could not be fetched: the disk of the server is full; try again/,
  })
  t.same(await readdir(join(disk, 'upgrade', 'downloads')), [], 'what had come makes room')
  t.ok(rsync.builds.has('602'))
  rmSync(join(disk, 'ballast'))
  from.files.set('/885-tree.tar.bz2', { bytes: tree })
  t.match(await house.command(['upgrade', 'fetch'], { args: { name: '885' } }), { ended: { exit: 0 } })
})

t.test('what has come lies on one disk, and the other being full is no reason for it to go', async (t) => {
  const disk = await smallDisk(t)
  if (disk === undefined) return
  const from = await upstream(t, packed('885', Buffer.alloc(100_000, 'x')))
  const rsync = await standIn(t, join(disk, 'rsync'))
  rsync.installing = async () => {
    await rsync.arrivals.folder('885')
    await fill(join(disk, 'ballast'))
    throw new SystemError('NO_SPACE', 'there is no room', { hint: 'make room' })
  }
  const settings = { 'upgrade-sources': `${from.url}/{name}`, 'upgrade-keep-free': '0' }
  const house = await boot({ plugins: [rsync.plugin, upgrade], settings })
  t.teardown(() => house.dispose())
  await t.rejects(rsync.ask('build-885'), { message: /the disk of the server is full; try again in 10/ })
  t.same(await readdir(join(house.root, 'upgrade', 'downloads')), ['885'])
  t.same(await rsync.arrivals.list(), [], 'what lies among the builds makes room')
})

t.test('on a full disk nothing is begun, and it is said', async (t) => {
  const disk = await smallDisk(t)
  if (disk === undefined) return
  const from = await upstream(t, packed('885', Buffer.alloc(100_000)))
  const rsync = await standIn(t)
  const settings = { 'upgrade-sources': `${from.url}/{name}`, 'upgrade-keep-free': '2' }
  const house = await boot({ plugins: [rsync.plugin, upgrade], settings, root: disk })
  t.teardown(() => house.dispose())
  await fill(join(disk, 'ballast'))
  await t.rejects(rsync.ask('build-885'), {
    message: /there is 2\.\d MB too little on the disk of the server/,
  })
  t.equal(from.count('GET', '/885-tree.tar.bz2'), 0)
  await rm(join(disk, 'ballast'))
})

t.test('that a build was of use is remembered also while nothing can be written', async (t) => {
  const disk = await smallDisk(t)
  if (disk === undefined) return
  const rsync = await standIn(t)
  await rsync.put('885')
  const store = new NedbStore(join(disk, 'store'), openLog('silent').logger)
  t.teardown(() => store.close())
  const collection = await store.open('upgrade/uses', collections.uses)
  const uses = await Uses.open(collection, rsync.shelf)
  await fill(join(disk, 'ballast'))
  const large = { name: 'x', source: 'x'.repeat(20_000), installedAt: '', usedAt: '' }
  await t.rejects(collection.insert(large), { code: /STORE/ })
  await uses.used('885', '2036-01-01T00:00:00.000Z')
  t.match(uses.get('885'), { usedAt: '2036-01-01T00:00:00.000Z', rank: 2 })
})

t.test('a build for which others go waits until they have gone from the disk', async (t) => {
  const disk = await smallDisk(t)
  if (disk === undefined) return
  const tree = Buffer.alloc(1_100_000, 'x')
  const from = await upstream(t, packed('885', tree))
  const rsync = await standIn(t, join(disk, 'rsync'))
  const old = await rsync.put('602', { bytes: 7_000_000, publishedAt: '2020-01-01T00:00:00.000Z' })
  await writeFile(join(old.path, 'root', 'large'), Buffer.alloc(7_000_000, 1))
  rsync.removing = () => sleep(500)
  const settings = { 'upgrade-sources': `${from.url}/{name}`, 'upgrade-keep-free': '0' }
  const house = await boot({ plugins: [rsync.plugin, upgrade], settings, root: join(disk, 'root') })
  t.teardown(() => house.dispose())
  t.match(await house.command(['upgrade', 'fetch'], { args: { name: '885' } }), { ended: { exit: 0 } })
  t.same(
    rsync.removed.map(({ name }) => name),
    ['602'],
  )
})

t.test('what is still going from the disk sends no other build after it', async (t) => {
  const disk = await smallDisk(t)
  if (disk === undefined) return
  const rsync = await standIn(t, join(disk, 'rsync'))
  for (const [index, name] of ['a', 'b'].entries()) {
    const { path } = await rsync.put(name, {
      bytes: 3_000_000,
      publishedAt: `2020-01-0${index + 1}T00:00:00.000Z`,
    })
    await writeFile(join(path, 'root', 'large'), Buffer.alloc(3_000_000, 1))
  }
  let go = () => undefined as unknown
  rsync.removing = () =>
    new Promise((resolve) => {
      go = () => resolve(undefined)
    })
  const settings = { 'upgrade-keep-free': '4' }
  const house = await boot({ plugins: [rsync.plugin, upgrade], settings, root: join(disk, 'root') })
  t.teardown(() => house.dispose())
  for (let round = 0; round < 3; round += 1) await house.command(['upgrade', 'gc'])
  t.match(rsync.removed, [{ name: 'a', reason: /upgrade-keep-free/ }])
  t.equal(rsync.removed.length, 1)
  t.same((await house.status()).health, [])
  go()
  await until(async () => (await readdir(join(disk, 'rsync', 'making'))).length === 1, 'it to be gone')
  t.same((await house.status()).health, [])
  await writeFile(join(disk, 'others'), Buffer.alloc(2_000_000, 1))
  await house.command(['upgrade', 'gc'])
  t.match(rsync.removed, [{ name: 'a' }, { name: 'b' }], 'what others write counts as ever')
})

t.test('what is unpacked of a build takes its room once', async (t) => {
  const disk = await smallDisk(t)
  if (disk === undefined) return
  const from = await upstream(t, {
    ...packed('885', Buffer.alloc(1_000_000, 'x')),
    ...packed('602', Buffer.alloc(100_000, 'x')),
  })
  const rsync = await standIn(t, join(disk, 'rsync'))
  let isUnpacked = false
  let end = () => undefined as unknown
  rsync.installing = async ({ name }, { unpacked }) => {
    if (name !== '885') return
    const draft = join(disk, 'rsync', 'making', 'draft')
    await writeFile(draft, Buffer.alloc(4_500_000, 1))
    unpacked?.(4_500_000)
    isUnpacked = true
    await new Promise((resolve) => {
      end = () => resolve(undefined)
    })
    await rm(draft)
  }
  const settings = { 'upgrade-sources': `${from.url}/{name}`, 'upgrade-keep-free': '0' }
  const house = await boot({ plugins: [rsync.plugin, upgrade], settings, root: join(disk, 'root') })
  t.teardown(() => house.dispose())
  const first = rsync.ask('build-885')
  await until(() => isUnpacked, 'most of it to be unpacked')
  t.equal(await rsync.ask('build-602'), true, '8.4 MB less 5.5 MB hold 0.6 MB and the rest of the first')
  end()
  t.equal(await first, true)
})

t.test('neither a stop nor those who wait for another build wait for that', async (t) => {
  const disk = await smallDisk(t)
  if (disk === undefined) return
  const small = Buffer.alloc(100_000, 'x')
  let open: (() => void) | undefined
  const from = await upstream(t, {
    ...packed('885', Buffer.alloc(1_100_000, 'x')),
    ...packed('13', small, {
      get(_, response) {
        open = () => response.end(small)
      },
    }),
  })
  const rsync = await standIn(t, join(disk, 'rsync'))
  const old = await rsync.put('602', { bytes: 5_000_000, publishedAt: '2020-01-01T00:00:00.000Z' })
  await writeFile(join(old.path, 'root', 'large'), Buffer.alloc(5_000_000, 1))
  rsync.removing = () => new Promise(() => undefined)
  const settings = { 'upgrade-sources': `${from.url}/{name}`, 'upgrade-keep-free': '0' }
  const house = await boot({ plugins: [rsync.plugin, upgrade], settings, root: join(disk, 'root') })
  const other = rsync.ask('build-13')
  await until(() => open !== undefined, 'the download')
  const asked = t.rejects(rsync.ask('build-885'), { message: /^the server is stopping/ })
  await until(() => rsync.removed.length === 1, 'the removal')
  open?.()
  t.equal(await other, true)
  await house.dispose()
  await asked
})

t.test('what came from another school goes from a disk that is full', async (t) => {
  const disk = await smallDisk(t)
  if (disk === undefined || !needs(t, 'rsync', 'rsync') || !needs(t, 'setfattr', 'attr')) return
  const path = await temporaryDirectory(t)
  await mkdir(join(path, 'root'))
  await writeFile(join(path, 'contents'), '{}')
  for (let number = 0; number < 20; number += 1)
    await writeFile(join(path, 'root', `${number}`), Buffer.alloc(300_000, number))
  const port = await rsyncDaemon(t, `[build-885]\npath = ${path}\ncomment = x\n`)
  const to = await site(t)
  to.builds.arrivals.folder = async () => {
    mkdirSync(join(disk, '885'), { recursive: true })
    return join(disk, '885')
  }
  let dropped = ''
  to.builds.arrivals.drop = async (name) => {
    dropped = name
  }
  to.makeRoom = () => fill(join(disk, 'ballast'))
  const source = new School({ host: '127.0.0.1', port }, { idle: 5000, pauses: [1, 1] })
  await t.rejects(bring(source, to), { code: 'NO_SPACE', message: 'the disk of the server is full' })
  t.equal(dropped, '', 'whoever knows of all sources removes it')
})

t.test(
  'a disk that keeps no attributes takes nothing from another school, and says so at once',
  async (t) => {
    const disk = await smallDisk(t, 'ramfs')
    if (disk === undefined || !needs(t, 'rsync', 'rsync')) return
    const path = await temporaryDirectory(t)
    await mkdir(join(path, 'root'))
    await writeFile(join(path, 'contents'), '{}')
    await writeFile(join(path, 'root', 'su'), 'su')
    await chmod(join(path, 'root', 'su'), 0o4755)
    const port = await rsyncDaemon(t, `[build-885]\npath = ${path}\ncomment = x\n`)
    const to = await site(t)
    to.builds.arrivals.folder = async () => {
      mkdirSync(join(disk, '885'), { recursive: true })
      return join(disk, '885')
    }
    const source = new School({ host: '127.0.0.1', port }, { idle: 5000, pauses: [600_000] })
    await t.rejects(bring(source, to), {
      code: 'REFUSED',
      message: /the disk of rsync-root keeps no attributes/,
    })
  },
)
