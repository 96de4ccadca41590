import { chmod, mkdir, readdir, stat, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { Incoming } from '../../../../plugins/rsync/builds/arrivals.js'
import { Layout } from '../../../../plugins/rsync/builds/layout.js'
import { until } from '../../../support/core/server-process.js'
import { needs } from '../../../support/needs.js'
import { adopter } from '../../../support/rsync/build-adopter.js'
import { contents, succeed } from '../../../support/rsync/packed-builds.js'
import { openHouse } from '../../../support/rsync/rsync-server.js'
import { temporaryDirectory } from '../../../support/temporary-directory.js'

async function arriving(t: Test) {
  const layout = new Layout(await temporaryDirectory(t))
  for (const folder of [layout.arriving, layout.making]) await mkdir(folder, { recursive: true })
  return { layout, arrivals: new Incoming(layout) }
}

t.test(
  'each build has a directory of its own, for nobody else, which tells when it was last gone on with',
  async (t) => {
    const { layout, arrivals } = await arriving(t)
    t.same(await arrivals.list(), [])
    const begun = Date.now()
    const folder = await arrivals.folder('13.2.0_xo1.75-13')
    t.equal(folder, join(layout.arriving, '13.2.0_xo1.75-13'))
    await chmod(folder, 0o755)
    await writeFile(join(folder, 'contents'), contents)
    await arrivals.folder('885')
    const [first, second] = await arrivals.list()
    t.match(first, { name: '13.2.0_xo1.75-13' })
    t.match(second, { name: '885' })
    t.ok(Number.isInteger(first?.at) && Math.abs((first?.at ?? 0) - begun) < 5000)
    await sleep(20)
    t.equal(await arrivals.folder('13.2.0_xo1.75-13'), folder)
    t.equal((await stat(folder)).mode & 0o777, 0o700, 'rsync gives it the mode that it has elsewhere')
    t.same(await readdir(folder), ['contents'], 'what has come stays')
    const [again, other] = await arrivals.list()
    t.ok((again?.at ?? 0) > (first?.at ?? 0))
    t.same(other, second)
  },
)

t.test('what is dropped goes, and may be begun anew while it does', async (t) => {
  const { layout, arrivals } = await arriving(t)
  const folder = await arrivals.folder('885')
  succeed(
    'sh',
    ['-c', 'mkdir -p shut/in; touch shut/in/f; for f in $(seq 3000); do echo > f$f; done; chmod 000 shut'],
    folder,
  )
  const dropping = arrivals.drop('885')
  await until(async () => (await arrivals.list()).length === 0, 'it to be out of the way')
  t.same(await readdir(await arrivals.folder('885')), [])
  await dropping
  t.same(await readdir(layout.making), [])
  t.match(await arrivals.list(), [{ name: '885' }], 'the new one stays')
  await arrivals.drop('886')
  await Promise.all([arrivals.drop('885'), arrivals.drop('885'), arrivals.list()])
  t.same(await arrivals.list(), [])
  t.same(await readdir(layout.making), [])
})

t.test('names that no build has name no directory, and what is none is no arrival', async (t) => {
  const { layout, arrivals } = await arriving(t)
  const secret = join(layout.arriving, '..', 'pub')
  await mkdir(secret)
  for (const name of [
    '',
    '.',
    '..',
    '../pub',
    'a/b',
    '/etc',
    '-rf',
    '.hidden',
    'a\nb',
    'a\0',
    'x'.repeat(65),
    'ü',
  ]) {
    await t.rejects(
      arrivals.folder(name),
      { code: 'REQUEST_INVALID', hint: /letters, digits/ },
      JSON.stringify(name),
    )
    await t.rejects(arrivals.drop(name), { code: 'REQUEST_INVALID' })
  }
  await writeFile(join(layout.arriving, 'file'), '')
  await symlink(secret, join(layout.arriving, 'link'))
  await mkdir(join(layout.arriving, '.hidden'))
  t.same(await arrivals.list(), [])
  await t.rejects(arrivals.folder('file'), { code: 'NOT_WRITABLE' })
  await arrivals.drop('link')
  t.ok((await stat(secret)).isDirectory(), 'a link goes, and not what it leads to')
  t.same(await readdir(layout.arriving), ['.hidden', 'file'])
})

t.test('a start leaves what has come, and clears away what was being dropped', async (t) => {
  if (!needs(t, 'rsync', 'rsync')) return
  const house = await openHouse(t, {}, ['rsync', adopter.plugin])
  const folder = join(house.root, 'rsync')
  await writeFile(join(await adopter.builds.arrivals.folder('885'), 'contents'), contents)
  await house.dispose()
  await mkdir(join(folder, 'making', 'dropped-x', 'root'), { recursive: true })
  await openHouse(t, { 'rsync-root': folder }, ['rsync', adopter.plugin])
  await until(async () => (await readdir(join(folder, 'making'))).length === 0, 'the rest of it to go')
  t.match(await adopter.builds.arrivals.list(), [{ name: '885' }])
  t.same(await readdir(await adopter.builds.arrivals.folder('885')), ['contents'])
})
