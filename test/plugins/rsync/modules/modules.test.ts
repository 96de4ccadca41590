import { spawn } from 'node:child_process'
import { mkdir, readdir, readFile, rename, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { definePlugin } from '../../../../core/api.js'
import { boot } from '../../../../core/testing.js'
import { type Module, Modules } from '../../../../plugins/rsync/public.js'
import { run, until } from '../../../support/core/server-process.js'
import { freePort } from '../../../support/free-port.js'
import { lacks, needs } from '../../../support/needs.js'
import { fill, openHouse, type RsyncHouse } from '../../../support/rsync/rsync-server.js'

/** Other code that publishes. */
function publisher() {
  let modules: Modules | undefined
  const plugin = definePlugin({
    name: 'other',
    api: 1,
    summary: 'publishes',
    needs: { modules: Modules },
    start(ctx) {
      modules = ctx.needs.modules
    },
  })
  return { plugin, publish: async (module: Module) => modules?.publish(module) }
}

const publish = (house: RsyncHouse, dir: string, as = '') =>
  house.command(['rsync', 'publish'], { args: { dir }, options: as === '' ? {} : { as } })
const withdraw = (house: RsyncHouse, name: string) => house.command(['rsync', 'withdraw'], { args: { name } })
const names = async (house: RsyncHouse) =>
  (await house.rsync('::')).out
    .split('\n')
    .map((line) => line.split(/\s/)[0] ?? '')
    .filter((name) => name !== '')

const problems = async (house: RsyncHouse) => (await house.command(['rsync', 'list'])).err

t.test('a directory below pub is a module, from the next connection on', async (t) => {
  if (!needs(t, 'rsync', 'rsync')) return
  const house = await openHouse(t)
  t.same(await names(house), ['builds'])
  await fill(join(house.pub, 'films'), { film: 'film' })
  t.same(await names(house), ['builds', 'films'])
  t.equal(await problems(house), '', 'nothing is wrong with one that has just come')
  await fill(join(house.pub, 'books'), { book: 'book' })
  t.same(await names(house), ['books', 'builds', 'films'])
  await rename(join(house.pub, 'books'), join(house.pub, 'xo-activities'))
  t.same(await names(house), ['builds', 'films', 'xo-activities'])
  await rm(join(house.pub, 'films'), { recursive: true })
  t.match((await house.rsync('::films/')).err, "@ERROR: Unknown module 'films'")
  t.equal((await house.rsync('::xo-activities/')).code, 0)
})

t.test('what is no directory of ours is passed over, and said', async (t) => {
  if (!needs(t, 'rsync', 'rsync')) return
  const house = await openHouse(t)
  await symlink('/etc', join(house.pub, 'etc'))
  await writeFile(join(house.pub, 'file'), 'file')
  for (const name of ['build-885', 'a b', '[films]', 'line\nuid = 0', '.hidden', 'x'.repeat(80)]) {
    await mkdir(join(house.pub, name))
  }
  t.same(await names(house), ['builds'])
  const said = await problems(house)
  t.match(said, 'pub/etc is a link, which could lead anywhere: publish what it leads to')
  t.match(said, 'pub/file is no directory')
  t.match(said, 'pub/build-885 has a name that is kept for builds')
  t.match(said, 'pub/line\\u000auid = 0 has a name that no module can have')
  t.notMatch(said, 'hidden')
  t.match((await house.rsync('::etc/')).err, "@ERROR: Unknown module 'etc'")
})

t.test('an operator publishes a directory, and it stays published', async (t) => {
  if (!needs(t, 'rsync', 'rsync')) return
  const house = await openHouse(t)
  const folder = join(house.beside, 'films')
  await fill(folder, { film: 'film' })
  const link = join(house.beside, 'link')
  await symlink(folder, link)
  const published = await publish(house, link, 'cinema')
  t.equal(published.ended.exit, 0, published.err)
  t.equal(published.out, `${folder} is published as cinema\n`, 'it is known by its own path')
  t.equal((await publish(house, folder)).out, `${folder} is published as films\n`)
  t.same(await names(house), ['builds', 'cinema', 'films'])
  await house.house.stop()
  const again = await boot({ plugins: ['rsync'], root: house.root })
  t.teardown(() => again.dispose())
  const listed = await again.command(['rsync', 'list'], { json: true })
  t.match(JSON.parse(listed.out), [
    { name: 'builds' },
    { name: 'cinema', path: folder, from: 'operator' },
    { name: 'films' },
  ])
  const withdrawn = await again.command(['rsync', 'withdraw'], { args: { name: 'cinema' } })
  t.equal(withdrawn.ended.exit, 0)
  t.notMatch((await again.command(['rsync', 'list'])).out, 'cinema')
  t.same(await readdir(folder), ['film'], 'and the directory is as it was')
})

t.test('what must not be published is not', async (t) => {
  if (!needs(t, 'rsync', 'rsync')) return
  const house = await openHouse(t)
  await fill(join(house.pub, 'films'), { film: 'film' })
  const folder = join(house.beside, 'folder')
  await fill(folder, { file: 'file' })
  const wayIn = join(house.beside, 'way-in')
  await symlink(house.root, wayIn)
  for (const dir of ['/', house.root, join(house.root, '..'), join(house.root, 'run'), house.pub, wayIn]) {
    const { ended, err } = await publish(house, dir, 'x')
    t.equal(ended.exit, 77, `${dir} ${err}`)
  }
  t.equal(
    (await publish(house, join(house.pub, 'films'), 'cinema')).ended.exit,
    0,
    'what is below pub is public',
  )
  t.match(await publish(house, join(folder, 'file'), 'x'), { ended: { exit: 77 } }, 'a file')
  t.match(await publish(house, join(folder, 'none'), 'x'), { ended: { exit: 66 } }, 'nothing')
  for (const name of ['x y', '../x', '[x]', '-x', 'x'.repeat(80)]) {
    t.equal((await publish(house, folder, name)).ended.exit, 65, JSON.stringify(name))
  }
  for (const name of ['builds', 'build-885', 'films']) {
    t.equal((await publish(house, folder, name)).ended.exit, 77, name)
  }
  const strange = join(house.beside, 'a\n[etc]\npath = ')
  await mkdir(strange)
  t.equal((await publish(house, strange, 'x')).ended.exit, 65, 'a path that would be lines')
  t.match(await withdraw(house, 'films'), { ended: { exit: 77 } }, 'a directory below pub')
  t.match(await withdraw(house, 'nothing'), { ended: { exit: 66 } })
  t.same(await names(house), ['builds', 'cinema', 'films'])
})

t.test('a name belongs to who had it first', async (t) => {
  if (!needs(t, 'rsync', 'rsync')) return
  let modules: Modules | undefined
  const other = definePlugin({
    name: 'other',
    api: 1,
    summary: 'publishes',
    needs: { modules: Modules },
    start(ctx) {
      modules = ctx.needs.modules
    },
  })
  const house = await openHouse(t, {}, ['rsync', other])
  if (modules === undefined) throw new Error('it did not start')
  const [one, two] = [join(house.beside, 'one'), join(house.beside, 'two')]
  for (const folder of [one, two]) await fill(folder, { file: folder })
  const module = (name: string, path: string): Module => ({ name, path, comment: 'words', owners: 'files' })
  await modules.publish(module('a', one))
  await modules.publish(module('a', two))
  t.equal(modules.get('a')?.path, two, 'the same publishes something else')
  t.match(await publish(house, one, 'a'), { ended: { exit: 77 }, err: '' })
  t.equal((await publish(house, one, 'b')).ended.exit, 0)
  t.equal((await publish(house, two, 'b')).ended.exit, 0, 'the same operator')
  await t.rejects(modules.publish(module('b', one)), {
    code: 'REFUSED',
    message: `the name b is taken: it stands for ${two}`,
  })
  await fill(join(house.pub, 'b'), { file: 'file' })
  t.match(await problems(house), 'pub/b is not served: another directory is published under that name')
  t.equal((await withdraw(house, 'b')).ended.exit, 0)
  t.equal(modules.get('b')?.path, join(house.pub, 'b'), 'who comes next has it then')
  t.equal(await modules.withdraw('b'), false, 'code withdraws what code published')
  t.equal(await modules.withdraw('a'), true)
  t.same(
    modules.list().map(({ name }) => name),
    ['b', 'builds'],
  )
  await t.rejects(modules.publish(module('a\n[x]', one)), { code: 'REQUEST_INVALID' })
})

t.test('a directory that has gone is said, and its clients are told', async (t) => {
  if (!needs(t, 'rsync', 'rsync')) return
  const house = await openHouse(t)
  const folder = join(house.beside, 'films')
  await fill(folder, { film: 'film' })
  await publish(house, folder)
  await rename(folder, `${folder}-away`)
  t.match((await house.rsync('::films/')).err, "@ERROR: module 'films' is not there now -- try again later")
  t.match((await house.command(['rsync', 'list'])).out, `${folder} (is not there)`)
  t.match((await house.status()).health, [
    { plugin: 'rsync', problem: `${folder} is published as films and is not there` },
  ])
  await rename(`${folder}-away`, folder)
  t.equal((await house.rsync('::films/')).code, 0)
  t.same((await house.status()).health, [])
})

t.test('the daemon of a system serves the same from the file that is kept for it', async (t) => {
  if (!needs(t, 'rsync', 'rsync')) return
  if (process.geteuid?.() !== 0) return lacks(t, 'needs root', 'only root may change the root directory')
  const house = await openHouse(t)
  const file = join(house.root, 'rsync', 'rsyncd.conf')
  await fill(join(house.beside, 'films and more'), { film: 'film' })
  await publish(house, join(house.beside, 'films and more'), 'films')
  const text = await readFile(file, 'utf8')
  t.match(text, 'use chroot = yes\nmax connections = 10\n')
  t.match(text, /\[films\]\npath = .*films and more\nread only = yes\n/)
  t.match(text, /\[builds\]\npath = .*\ncomment = all builds\nread only = yes\nfake super = yes\n/)
  t.equal((await stat(file)).mode & 0o777, 0o600)
  const port = await freePort()
  const words = [
    ...['--daemon', '--no-detach', `--config=${file}`, `--port=${port}`, '--address=127.0.0.1'],
    '--log-file=/dev/null',
  ]
  // Given a socket as its input, which node's pipes are, it takes itself for a child of inetd.
  const daemon = spawn('rsync', words, { stdio: 'ignore' })
  t.teardown(() => daemon.kill('SIGKILL'))
  const ask = (path: string) => run(t, ['rsync', `rsync://127.0.0.1:${port}/${path}`])
  await until(async () => (await ask('')).code === 0, 'the daemon')
  t.equal((await ask('')).out, 'builds         \tall builds\nfilms          \t\n')
  t.match((await ask('films/')).out, / film\n/)
  await withdraw(house, 'films')
  t.equal((await ask('')).out, 'builds         \tall builds\n', 'at each change')
})

t.test('of names that rsync takes for one, one is served and the others are said', async (t) => {
  if (!needs(t, 'rsync', 'rsync')) return
  const { plugin, publish: publishByCode } = publisher()
  const house = await openHouse(t, {}, ['rsync', plugin])
  for (const name of ['films', 'global', 'Builds', 'BUILD-885', 'other']) {
    await fill(join(house.pub, name), { [`of-${name}`]: name })
  }
  t.same(await names(house), ['builds', 'films', 'other'])
  await fill(join(house.pub, 'Films'), { 'of-Films': 'Films' })
  t.same(await names(house), ['builds', 'films', 'other'], 'who came first is served')
  t.match((await house.rsync('::films/')).out, 'of-films')
  t.match((await house.rsync('::Films/')).err, "@ERROR: Unknown module 'Films'")
  t.match((await house.rsync('-aL', '::builds/', join(house.beside, 'to'))).code, 0, 'and as it should be')
  const said = await problems(house)
  t.match(said, 'pub/global has a name that no module can have')
  t.match(said, 'pub/BUILD-885 has a name that is kept for builds')
  t.match(said, 'pub/Films cannot be served beside pub/films: rsync takes both for one')
  const folder = join(house.beside, 'folder')
  await fill(folder, { file: 'file' })
  t.match(await publish(house, folder, 'OTHER'), { ended: { exit: 77 } })
  t.match(await publish(house, folder, 'Build-1'), { ended: { exit: 77 } })
  t.match(await publish(house, folder, 'Global'), { ended: { exit: 65 } })
  const module = { path: folder, comment: '', owners: 'files' } as const
  await publishByCode({ ...module, name: 'build-x' })
  await publishByCode({ ...module, name: 'build-X' })
  t.match((await house.rsync('::build-x/')).out, 'file')
  t.match(await problems(house), 'build-X is not served: rsync takes its name for that of another module')
})

t.test('what cannot be read below the root of all keeps nothing else from being served', async (t) => {
  if (!needs(t, 'rsync', 'rsync')) return
  const { plugin, publish: publishByCode } = publisher()
  const house = await openHouse(t, {}, ['rsync', plugin])
  const folder = join(house.beside, 'folder')
  await fill(folder, { file: 'file' })
  await publishByCode({ name: 'x', path: folder, comment: '', owners: 'files' })
  await rename(house.pub, `${house.pub}-away`)
  await writeFile(house.pub, 'no directory')
  t.match((await house.rsync('::x/')).out, 'file')
  t.match(await problems(house), `${house.pub} cannot be read (ENOTDIR)`)
  await rm(house.pub)
  await rename(`${house.pub}-away`, house.pub)
  await fill(join(house.pub, 'films'), { film: 'film' })
  t.match((await house.rsync('::films/')).out, 'film')
})
