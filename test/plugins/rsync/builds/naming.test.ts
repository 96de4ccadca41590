import { mkdir, readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import t, { type Test } from 'tap'
import { report } from '../../../../core/report.js'
import { needs } from '../../../support/needs.js'
import { adopter } from '../../../support/rsync/build-adopter.js'
import { tarOf } from '../../../support/rsync/handmade-tar.js'
import { contents, pack, smallTree } from '../../../support/rsync/packed-builds.js'
import { reopen } from '../../../support/rsync/reopen-server.js'
import { openHouse } from '../../../support/rsync/rsync-server.js'

const has = (t: Test): boolean => needs(t, 'rsync', 'rsync') && needs(t, 'setfattr', 'attr')

t.test(
  'of builds whose names rsync takes for one, the second is refused before anything is unpacked',
  async (t) => {
    if (!has(t)) return
    const house = await openHouse(t, {}, ['rsync', adopter.plugin])
    const { builds } = adopter
    const folder = join(house.root, 'rsync')
    const packed = join(folder, 'xobuilds-packed')
    await pack(packed, 'a', { name: 'Joyride-2230' })
    t.match(await house.command(['rsync', 'refresh']), { out: /^Joyride-2230 published$/m })
    // Were it unpacked, it would be refused for what it is.
    await pack(packed, 'b', { name: 'joyride-2230', tree: gzipSync(tarOf({ name: '../out' })) })
    const { err, ended } = await house.command(['rsync', 'refresh'])
    const words =
      'the build joyride-2230 cannot be published beside Joyride-2230: rsync takes both names for one'
    t.match(
      err,
      `joyride-2230 refused: ${words}; call it otherwise, or run "sugar-server rsync withdraw Joyride-2230" first`,
    )
    t.equal(ended.exit, 65)
    const arrival = await builds.arrivals.folder('JOYRIDE-2230')
    await t.rejects(builds.adopt('JOYRIDE-2230', arrival, 'upgrade'), { code: 'REFUSED' })
    t.same(await readdir(join(folder, 'pub', 'builds')), ['Joyride-2230'])
    t.match((await house.rsync('::')).out, /^build-Joyride-2230/m)

    t.match(await house.command(['rsync', 'withdraw'], { args: { name: 'Joyride-2230' } }), {
      ended: { exit: 0 },
    })
    const [tree, manifest] = [join(house.beside, 'tree'), join(house.beside, 'contents')]
    await writeFile(tree, smallTree())
    await writeFile(manifest, contents)
    const install = (name: string) => {
      const progress = { note: () => undefined, signal: new AbortController().signal }
      return builds.install({ name, tree, contents: manifest, from: 'upgrade' }, progress)
    }
    const came = await Promise.allSettled(['OS', 'os', 'Os', '885'].map(install))
    t.same(
      came.map(({ status }) => status),
      ['fulfilled', 'rejected', 'rejected', 'fulfilled'],
      'nor do they come at once',
    )
    t.match(await install('OS'), { name: 'OS' }, 'one may replace itself')
  },
)

t.test('when both are there already, one is served and the other named, until the first goes', async (t) => {
  if (!has(t)) return
  const house = await openHouse(t)
  const folder = join(house.root, 'rsync')
  await pack(join(folder, 'xobuilds-packed'), '885', { name: 'OS' })
  t.match(await house.command(['rsync', 'refresh']), { out: /^OS published$/m })
  const draft = join(folder, 'making', 'draft-other')
  await mkdir(join(draft, 'build', 'root'), { recursive: true })
  await writeFile(join(draft, 'build', 'contents'), 'other')
  const seal = {
    name: 'os',
    digest: '',
    bytes: 1,
    entries: 1,
    publishedAt: '2026-01-01T00:00:00.000Z',
    from: 'x',
  }
  await writeFile(join(draft, 'build.json'), JSON.stringify(seal))
  const again = await reopen(t, house)
  const status = JSON.stringify(await again.house.kernel.hooks.gather(report, {}, undefined))
  t.match(status, /build-os is not served: rsync takes its name for that of another module/)
  t.match((await again.rsync('::')).out, /^build-OS /m)
  t.notMatch((await again.rsync('::')).out, /^build-os /m)
  t.equal((await again.rsync('::build-OS/contents', join(house.beside, 'one'))).code, 0)
  t.match(await again.command(['rsync', 'withdraw'], { args: { name: 'OS' } }), { ended: { exit: 0 } })
  t.match((await again.rsync('::')).out, /^build-os /m)
})
