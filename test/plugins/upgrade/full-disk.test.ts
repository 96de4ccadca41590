import { spawnSync } from 'node:child_process'
import { mkdirSync, rmSync } from 'node:fs'
import { open, readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { boot } from '../../../core/testing.js'
import upgrade from '../../../plugins/upgrade/plugin.js'
import { until } from '../../system/server.js'
import { standIn, temporaryDirectory } from './stand-in.js'
import { packed, upstream } from './upstream.js'

/** A disk of a few megabytes; undefined, and the test skipped, where this user cannot mount one. */
async function smallDisk(t: Test): Promise<string | undefined> {
  const disk = join(await temporaryDirectory(t), 'disk')
  mkdirSync(disk, { mode: 0o700 })
  const options = ['-t', 'tmpfs', '-o', 'size=8m,mode=700', 'tmpfs', disk]
  const { status, error, stderr } = spawnSync('mount', options)
  if (status !== 0) {
    t.pass('needs a mounted tmpfs', { skip: `mount: ${error?.message ?? String(stderr).trim()}` })
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
