import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { definePlugin } from '../../../../core/api.js'
import { type Asked, type Module, Modules, type Pulled, Rsync } from '../../../../plugins/rsync/public.js'
import { run, until } from '../../../support/core/server-process.js'
import { needs } from '../../../support/needs.js'
import { fill, openHouse, openServer, slowly } from '../../../support/rsync/rsync-server.js'

t.setTimeout(300_000)

const megabyte = 1 << 20

t.test('who fetches, and how much, is told to other plugins and shown in status', async (t) => {
  if (!needs(t, 'rsync', 'rsync')) return
  const heard: (Partial<Pulled> & { what: string })[] = []
  const ear = definePlugin({
    name: 'ear',
    api: 1,
    summary: 'hears',
    start(ctx) {
      ctx.tap(Rsync.opened, (event) => void heard.push({ what: 'opened', ...event }))
      ctx.tap(Rsync.pulled, (event) => void heard.push({ what: 'pulled', ...event }))
    },
  })
  const house = await openHouse(t, {}, ['rsync', ear])
  await fill(join(house.pub, 'films'), { film: randomBytes(3 * megabyte) })
  const { ended } = slowly(t, house.port, join(house.beside, 'to'), 3000)
  const now = async () => (await house.command(['rsync', 'list'], { json: true })).out
  await until(async () => /"address": "127.0.0.1"/.test(await now()), 'the client to be listed')
  t.same((await ended).code, 0)
  await until(() => heard.length === 2, 'both pieces of news')
  t.match(heard[0], { what: 'opened', module: 'films', address: '127.0.0.1' })
  t.match(heard[1], { what: 'pulled', module: 'films', address: '127.0.0.1' })
  const bytes = heard[1]?.bytes ?? 0
  t.ok(bytes > 3 * megabyte && bytes < 3.1 * megabyte, `${bytes} bytes`)
  t.notMatch(await now(), /127\.0\.0\.1/)
})

t.test('the log says for whom rsync works and what it has to say', async (t) => {
  if (!needs(t, 'rsync', 'rsync')) return
  const server = await openServer(t, '--log-level', 'debug')
  const port = new URL(await server.url('rsync')).port
  await fill(join(server.root, 'rsync', 'pub', 'films'), { film: 'film' })
  const to = join(server.home, 'to')
  const { ended } = slowly(t, port, to)
  t.equal((await ended).code, 0)
  const missing = spawn('rsync', [`rsync://127.0.0.1:${port}/films/\u001b[2Jmissing`, to])
  t.teardown(() => missing.kill('SIGKILL'))
  await once(missing, 'close')
  const said = (words: RegExp) =>
    server.log().find(({ msg, address }) => words.test(msg) && address === '127.0.0.1')
  await until(() => said(/link_stat .*missing/) !== undefined, 'what went wrong')
  t.match(said(/rsync on films/)?.msg, '(127.0.0.1)')
  t.match(said(/ film 4$/), { level: 20 }, 'each file, for who wants to know')
  t.match(said(/link_stat/), { level: 30, module: 'films' })
  t.notMatch(server.said.err, '\u001b')
  t.match(said(/^127.0.0.1 fetched from films$/), { level: 30, module: 'films', code: 0 })
})

t.test('a client that asks for much in vain does not fill the log', async (t) => {
  if (!needs(t, 'rsync', 'rsync')) return
  // With the other, rsync says it to nobody but us, and also without its number.
  for (const [more, told] of [
    [[], 3000],
    [['-M--msgs2stderr'], 0],
  ] as const) {
    const server = await openServer(t)
    const { port } = new URL(await server.url('rsync'))
    await fill(join(server.root, 'rsync', 'pub', 'films'), { film: 'film' })
    const names = join(server.home, 'names')
    await writeFile(names, Array.from({ length: 3000 }, (_, n) => `none-${n}\n`).join(''))
    const words = ['-a', `--files-from=${names}`, `rsync://127.0.0.1:${port}/films/`, join(server.home, 'to')]
    const asked = await run(t, ['rsync', ...more, ...words])
    t.equal(asked.err.match(/none-\d/g)?.length ?? 0, told)
    const ended = () => server.log().some(({ msg }) => /fetch(?:ing|ed) from/.test(msg))
    await until(ended, 'the end of it')
    const said = server.log().filter(({ msg }) => msg.startsWith('rsync says'))
    t.ok(said.length > 100 && said.length < 210, `${said.length} lines`)
    t.ok(said.some(({ msg }) => msg === 'rsync says more, which is not kept'))
  }
})

/** Hears what clients ask for. */
function ear() {
  const heard: Asked[] = []
  let modules: Modules | undefined
  const plugin = definePlugin({
    name: 'ear',
    api: 1,
    summary: 'hears',
    needs: { modules: Modules },
    start(ctx) {
      modules = ctx.needs.modules
      ctx.tap(Rsync.asked, (event) => void heard.push(event))
    },
  })
  return { plugin, heard, publish: (module: Module) => modules?.publish(module) }
}

t.test('what clients ask for within a module is told to other plugins', async (t) => {
  if (!needs(t, 'rsync', 'rsync')) return
  for (const settings of [{}, { 'rsync-bandwidth': '20000' }] as Record<string, string>[]) {
    const { plugin, heard } = ear()
    const { rsync, pub, port, beside } = await openHouse(t, settings, ['rsync', plugin])
    await fill(join(pub, 'builds'), { '885/root/etc/hosts': 'x', '885/contents': '{}', '886/contents': '{}' })
    const began = Date.now()
    for (const [more, to] of [
      [[], 'to'],
      [['-s'], 'secluded'],
      [['--protocol=29'], 'old'],
      [['-n', '--list-only'], 'nowhere'],
    ] as const) {
      t.equal((await rsync('-a', ...more, '::builds/885/root/', join(beside, to))).code, 0)
      await until(() => heard.length > 0, 'the news')
      const paths = heard.splice(0).map((event) => event.paths)
      t.same(paths, ['builds/885/root/'], `once for each connection ${more}`)
    }
    await rsync(
      '-a',
      '::builds/885/contents',
      `127.0.0.1::builds/886`,
      '--port',
      `${port}`,
      join(beside, 'two'),
    )
    await until(() => heard.length > 0, 'the news')
    const [event] = heard.splice(0)
    t.match(event, { module: 'builds', paths: 'builds/885/contents builds/886', address: '127.0.0.1' })
    t.ok(Date.parse(event?.at ?? '') >= began)
    const many = Array.from({ length: 900 }, (_, n) => `127.0.0.1::builds/${'x'.repeat(50)}-${n}`)
    await rsync('-a', '--port', `${port}`, '::builds/885/contents', ...many, join(beside, 'many'))
    await until(() => heard.length > 0, 'the news')
    t.equal(heard.length, 1)
    const paths = heard[0]?.paths ?? ''
    t.match(paths, /^builds\/885\/contents builds\/x+-0 /)
    t.ok(paths.length <= 1024, 'no more than anybody needs')
  }
})

t.test('an rsync under fakeroot is known by its client, too', async (t) => {
  if (!needs(t, 'rsync', 'rsync') || !needs(t, 'fakeroot', 'fakeroot')) return
  const { plugin, heard, publish } = ear()
  const { rsync, beside } = await openHouse(t, {}, ['rsync', plugin])
  await fill(join(beside, 'build'), { x: 'x' })
  const state = join(beside, 'a state; of fakeroot')
  await writeFile(state, '')
  await publish({ name: 'build-y', path: join(beside, 'build'), comment: '', owners: { fakeroot: state } })
  const { code, err } = await rsync('-a', '::build-y/x', join(beside, 'to'))
  t.equal(code, 0, err)
  await until(() => heard.length > 0, 'the news')
  t.match(heard, [{ module: 'build-y', paths: 'build-y/x', address: '127.0.0.1' }])
})
