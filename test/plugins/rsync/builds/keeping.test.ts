import { mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { makeFolder } from '../../../../core/api.js'
import { report } from '../../../../core/report.js'
import { keepingIn } from '../../../../plugins/rsync/builds/keeping.js'
import { Layout } from '../../../../plugins/rsync/builds/layout.js'
import { joinStates, tidyStates } from '../../../../plugins/rsync/builds/states.js'
import { needs } from '../../../support/needs.js'
import { adopter } from '../../../support/rsync/build-adopter.js'
import { pack } from '../../../support/rsync/packed-builds.js'
import { openHouse } from '../../../support/rsync/rsync-server.js'
import { temporaryDirectory } from '../../../support/temporary-directory.js'

/** Leaves only these programs to be found, while a test runs. */
async function only(t: Pick<Test, 'teardown'>, folder: string, names: readonly string[]): Promise<void> {
  const path = process.env.PATH
  t.teardown(() => {
    process.env.PATH = path
  })
  for (const name of names)
    await writeFile(join(folder, name), `#!/bin/sh\nPATH='${path}' exec ${name} "$@"\n`, { mode: 0o755 })
  process.env.PATH = folder
}

t.test(
  'where neither attributes nor fakeroot can be had, builds are refused and the rest is served',
  async (t) => {
    if (!needs(t, 'rsync', 'rsync')) return
    await only(t, await temporaryDirectory(t), ['rsync', 'prlimit', 'tar', 'sh', 'flock', 'gzip'])
    const house = await openHouse(t, {}, ['rsync', adopter.plugin])
    await pack(join(house.root, 'rsync', 'xobuilds-packed'), '885')
    await mkdir(join(house.pub, 'films'))
    const { err, ended } = await house.command(['rsync', 'refresh'])
    t.match(err, /^885 refused: builds cannot be published: .* apt-get install attr fakeroot$/m)
    t.equal(ended.exit, 65)
    await t.rejects(adopter.builds.adopt('886', await adopter.builds.scratch(), 'upgrade'), {
      code: 'UNAVAILABLE',
    })
    t.match((await house.rsync('::')).out, /^films /m)
    t.same(await readdir(join(house.root, 'rsync', 'pub', 'builds')), [])
  },
)

t.test('a directory says what its disk can keep', async (t) => {
  if (!needs(t, 'setfattr', 'attr') || !needs(t, 'fakeroot', 'fakeroot')) return
  t.match(await keepingIn(await temporaryDirectory(t)), { owners: /^(attributes|fakeroot)$/ })
  t.match(await keepingIn('/proc/self'), {
    owners: 'fakeroot',
    reason: 'the disk of rsync-root keeps no attributes',
  })
})

t.test(
  'without setfattr fakeroot keeps the owners, and what others send is refused with what to do',
  async (t) => {
    for (const program of ['rsync', 'fakeroot', 'tar', 'gzip', 'sync'])
      if (!needs(t, program, program)) return
    const programs = await temporaryDirectory(t)
    const names = ['rsync', 'prlimit', 'fakeroot', 'tar', 'gzip', 'sync', 'sh', 'flock', 'mkfifo', 'cat']
    await only(t, programs, names)
    const house = await openHouse(t, {}, ['rsync', adopter.plugin])
    await pack(join(house.root, 'rsync', 'xobuilds-packed'), '885')
    t.match(await house.command(['rsync', 'refresh']), { out: /^885 published$/m })
    const status = JSON.stringify(await house.house.kernel.hooks.gather(report, {}, undefined))
    t.match(status, /the program setfattr is not installed, so fakeroot keeps the owners/)
    const arrival = await adopter.builds.arrivals.folder('886')
    await t.rejects(adopter.builds.adopt('886', arrival, 'upgrade'), {
      code: 'UNAVAILABLE',
      message: 'what other servers send cannot be published: the program setfattr is not installed',
      hint: 'install it: apt-get install attr',
    })
    t.match(await adopter.builds.arrivals.list(), [{ name: '886' }])
    t.same(await readdir(join(house.root, 'rsync', 'making')), [])
  },
)

t.test('states of fakeroot follow a disk that got another number, and those of no build go', async (t) => {
  const layout = new Layout(await temporaryDirectory(t))
  for (const folder of [layout.builds, layout.owners]) await makeFolder(folder)
  const disk = (await stat(layout.builds)).dev.toString(16)
  const line = 'ino=12,mode=104755,uid=0,gid=0,nlink=1,rdev=0\n'
  for (const name of ['a.1', 'b.2', 'c.3']) await writeFile(layout.state(name), `dev=beef,${line}`.repeat(2))
  const build = (name: string) => ({
    ...{ name, fakeroot: name, digest: '', bytes: 0, entries: 0, publishedAt: '', from: 'rsync' },
  })
  const builds = [build('a.1'), build('c.3'), { ...build('d'), fakeroot: undefined as never }]
  await tidyStates(layout, builds)
  t.same(await readdir(layout.owners), ['a.1', 'c.3'])
  t.equal(await readFile(layout.state('a.1'), 'latin1'), `dev=${disk},${line}`.repeat(2))
  const together = await joinStates(layout, builds)
  const [top = '', ...rest] = (await readFile(together ?? '', 'latin1')).split(/(?<=\n)/)
  t.equal(rest.join(''), `dev=${disk},${line}`.repeat(4))
  const { ino } = await stat(layout.builds)
  t.match(
    top,
    new RegExp(`^dev=${disk},ino=${ino},mode=40755,uid=0,gid=0,`),
    'the directory of them all, too',
  )
  t.equal(await joinStates(layout, []), undefined)
})
