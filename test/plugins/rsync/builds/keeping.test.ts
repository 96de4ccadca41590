import { mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { makeFolder } from '../../../../plugins/rsync/builds/disk.js'
import { keepingIn } from '../../../../plugins/rsync/builds/keeping.js'
import { Layout } from '../../../../plugins/rsync/builds/layout.js'
import { joinStates, tidyStates } from '../../../../plugins/rsync/builds/states.js'
import { needs } from '../../../support/needs.js'
import { temporaryDirectory } from '../../../system/server.js'
import { openHouse } from '../house.js'
import { adopter } from './adopting.js'
import { pack } from './packing.js'

t.test(
  'where neither attributes nor fakeroot can be had, builds are refused and the rest is served',
  async (t) => {
    if (!needs(t, 'rsync', 'rsync')) return
    const path = process.env.PATH
    t.teardown(() => {
      process.env.PATH = path
    })
    const programs = await temporaryDirectory(t)
    for (const name of ['rsync', 'tar', 'sh', 'flock', 'gzip'])
      await writeFile(join(programs, name), `#!/bin/sh\nPATH='${path}' exec ${name} "$@"\n`, { mode: 0o755 })
    process.env.PATH = programs
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
  t.match(await keepingIn('/proc/self'), { owners: 'fakeroot' })
})

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
  t.equal(await readFile(together ?? '', 'latin1'), `dev=${disk},${line}`.repeat(4))
  t.equal(await joinStates(layout, []), undefined)
})
