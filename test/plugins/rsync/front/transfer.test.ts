import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdir, readdir, readFile, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { definePlugin } from '../../../../core/api.js'
import { collections } from '../../../../plugins/rsync/documents.js'
import { serve } from '../../../../plugins/rsync/front/serve.js'
import { type Times, usual } from '../../../../plugins/rsync/front/transfer.js'
import { Registry } from '../../../../plugins/rsync/modules/registry.js'
import { options } from '../../../../plugins/rsync/options.js'
import { type Pulled, Rsync } from '../../../../plugins/rsync/public.js'
import { needs } from '../../../support/needs.js'
import { run, startServer, until } from '../../../system/server.js'
import { fill, openHouse, RawClient, rsyncsOf, wants } from '../house.js'

t.setTimeout(120_000)

const megabyte = 1 << 20

const openServer = (t: Test, ...more: string[]) =>
  startServer(t, {
    args: [
      ...['--plugins', 'rsync', '--host', '127.0.0.1', '--httpd-port', '0', '--rsync-port', '0'],
      ...more,
    ],
  })

/** A client that takes its time. */
function slowly(t: Test, port: number | string, to: string, kilobytes = 2000) {
  const client = spawn('rsync', ['-a', `--bwlimit=${kilobytes}`, `rsync://127.0.0.1:${port}/films/`, to])
  t.teardown(() => client.kill('SIGKILL'))
  let said = ''
  client.stderr.setEncoding('utf8').on('data', (text: string) => {
    said += text
  })
  const ended = once(client, 'close').then(([code]) => ({ code: code as number | null, said }))
  return { client, ended }
}

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
  const server = await openServer(t)
  const { port } = new URL(await server.url('rsync'))
  await fill(join(server.root, 'rsync', 'pub', 'films'), { film: 'film' })
  const names = join(server.home, 'names')
  await writeFile(names, Array.from({ length: 3000 }, (_, n) => `none-${n}\n`).join(''))
  const words = ['-a', `--files-from=${names}`, `rsync://127.0.0.1:${port}/films/`, join(server.home, 'to')]
  const asked = await run(t, ['rsync', ...words])
  t.equal(asked.err.match(/none-\d/g)?.length, 3000, 'it is told of each')
  const ended = () => server.log().some(({ msg }) => /broke off fetching/.test(msg))
  await until(ended, 'the end of it')
  const said = server.log().filter(({ msg }) => msg.startsWith('rsync says'))
  t.equal(said.length, 101)
  t.equal(said.at(-1)?.msg, 'rsync says more, which is not kept')
})

t.test('nothing is taken from a client', async (t) => {
  if (!needs(t, 'rsync', 'rsync')) return
  const { rsync, pub, beside } = await openHouse(t)
  await fill(join(pub, 'films'), { film: 'film' })
  await fill(join(beside, 'mine'), { bad: 'bad' })
  for (const more of [[], ['--delete'], ['--remove-source-files'], ['--inplace', '--append']]) {
    const sent = await rsync('-a', ...more, `${beside}/mine/`, '::films/')
    t.not(sent.code, 0)
    t.match(sent.err, 'module is read only')
  }
  const taken = await rsync('-a', '--remove-source-files', '::films/', `${beside}/taken/`)
  t.not(taken.code, 0, 'nor removed for it')
  t.same(await readdir(join(pub, 'films')), ['film'])
})

t.test('what goes wrong is told to the client, whatever it speaks', async (t) => {
  if (!needs(t, 'rsync', 'rsync')) return
  for (const settings of [{}, { 'rsync-bandwidth': '20000' }] as Record<string, string>[]) {
    const { rsync, pub, beside } = await openHouse(t, settings)
    await fill(join(pub, 'films'), { film: 'film' })
    for (const protocol of ['29', '30', '31', '32']) {
      const missing = await rsync('-a', `--protocol=${protocol}`, '::films/missing', join(beside, 'to'))
      t.equal(missing.code, 23)
      t.match(missing.err, /^rsync: \[sender\] link_stat "\/?missing" \(in films\) failed: No such file/)
      const secluded = await rsync('-as', `--protocol=${protocol}`, '::films/missing too', join(beside, 'to'))
      t.match(secluded.err, /^rsync: \[sender\] link_stat "\/?missing too" \(in films\) failed: No such file/)
    }
  }
})

t.test('no link leads out of a module', async (t) => {
  if (!needs(t, 'rsync', 'rsync')) return
  const { rsync, pub, beside } = await openHouse(t)
  await fill(join(beside, 'secret'), { 'of-another': 'secret' })
  await fill(join(pub, 'films'), { 'deep/film': 'film' })
  await symlink(join(beside, 'secret', 'of-another'), join(pub, 'films', 'file'))
  await symlink(join(beside, 'secret'), join(pub, 'films', 'folder'))
  await symlink('../../../../../beside/secret', join(pub, 'films', 'deep', 'up'))
  const plain = await rsync('-a', '::films/', join(beside, 'plain'))
  t.equal(plain.code, 0, 'links themselves are files like others')
  const names = join(beside, 'names')
  await writeFile(names, 'folder/of-another\ndeep/up/of-another\n')
  const tries = [
    ['-aL', '::films/'],
    ['-a', '--copy-unsafe-links', '::films/'],
    ['-ak', '::films/'],
    ['-a', '::films/folder/'],
    ['-a', '::films/folder/of-another'],
    ['-a', '::films/deep/up/of-another'],
    ['-aR', '::films/deep/./up/of-another'],
    ['-a', '::films/f*/of*'],
    ['-a', '::films/../../../beside/secret/'],
    ['-a', `--files-from=${names}`, '::films/'],
    ['-a', '--files-from=:/folder/of-another', '::films/'],
    ['-a', '--copy-as=root', '-L', '::films/file'],
  ]
  for (const [at, words] of tries.entries()) {
    const to = join(beside, `stolen-${at}`)
    const { out, err } = await rsync(...words, to)
    const found = await readdir(to, { recursive: true, withFileTypes: true }).catch(() => [])
    for (const entry of found) {
      if (!entry.isFile()) continue
      t.not(await readFile(join(entry.parentPath, entry.name), 'utf8'), 'secret', words.join(' '))
    }
    t.notMatch(out + err, /^secret$/m)
  }
  t.match((await rsync('-aL', '::films/', join(beside, 'no'))).err, 'configured to refuse --copy-links')
})

t.test('a client that drops takes its rsync along', async (t) => {
  if (!needs(t, 'rsync', 'rsync')) return
  for (const settings of [{}, { 'rsync-bandwidth': '20000' }] as Record<string, string>[]) {
    const { port, pub, root, beside, status } = await openHouse(t, settings)
    await fill(join(pub, 'films'), { film: randomBytes(20 * megabyte) })
    const { client, ended } = slowly(t, port, join(beside, 'to'))
    await until(async () => (await rsyncsOf(root)).length === 1, 'a transfer')
    client.kill('SIGKILL')
    await ended
    await until(async () => (await rsyncsOf(root)).length === 0, 'its rsync to be gone')
    const raw = new RawClient(t, port)
    raw.say('@RSYNCD: 29\nfilms\n')
    await until(() => raw.heard.endsWith('OK\n'), 'the OK')
    raw.socket.end()
    await until(async () => (await rsyncsOf(root)).length === 0, 'that of who hung up politely, too')
    t.same((await status()).health, [])
  }
})

t.test('a transfer under way may end when the server is asked to', async (t) => {
  if (!needs(t, 'rsync', 'rsync')) return
  const server = await openServer(t, '--drain-seconds', '30')
  const port = Number(new URL(await server.url('rsync')).port)
  const film = randomBytes(4 * megabyte)
  await fill(join(server.root, 'rsync', 'pub', 'films'), { film })
  const to = join(server.home, 'to')
  const { ended } = slowly(t, port, to, 4000)
  await until(async () => (await readdir(to).catch(() => [])).length > 0, 'it to begin')
  const silent = new RawClient(t, port)
  const stopped = server.stop()
  await silent.closed
  t.same(await ended, { code: 0, said: '' })
  t.equal((await stopped).code, 0)
  t.ok(film.equals(await readFile(join(to, 'film'))))
})

t.test('a transfer that takes too long is ended, and leaves no rsync', async (t) => {
  if (!needs(t, 'rsync', 'rsync')) return
  const server = await openServer(t, '--drain-seconds', '1')
  const { port } = new URL(await server.url('rsync'))
  await fill(join(server.root, 'rsync', 'pub', 'films'), { film: randomBytes(30 * megabyte) })
  const transfers = Array.from({ length: 5 }, (_, n) => slowly(t, port, join(server.home, `to-${n}`), 500))
  const stuck = new RawClient(t, Number(port))
  stuck.say('@RSYNCD: 29\nfilms\n--server\n--sender\n-r\n.\nfilms/\n\n')
  stuck.socket.once('data', () => stuck.socket.pause())
  await until(async () => (await rsyncsOf(server.root)).length === 6, 'six transfers')
  const began = performance.now()
  t.equal((await server.stop()).code, 0)
  t.ok(performance.now() - began < 8000, 'nobody is waited for who does not listen')
  for (const { ended } of transfers) t.not((await ended).code, 0)
  t.same(await rsyncsOf(server.root), [])
})

t.test('a killed server leaves no rsync either', async (t) => {
  if (!needs(t, 'rsync', 'rsync')) return
  const server = await openServer(t)
  const { port } = new URL(await server.url('rsync'))
  await fill(join(server.root, 'rsync', 'pub', 'films'), { film: randomBytes(30 * megabyte) })
  const { ended } = slowly(t, port, join(server.home, 'to'), 5000)
  const silent = new RawClient(t, Number(port))
  await until(async () => (await rsyncsOf(server.root)).length === 2, 'two rsyncs')
  await server.kill9()
  await until(async () => (await rsyncsOf(server.root)).length === 0, 'both to be gone')
  t.not((await ended).code, 0)
  await silent.closed
})

/** What a client of protocol 29 says to have `film`, the only file of `films`, sent. */
const wantsFilm = Buffer.concat([
  Buffer.from('@RSYNCD: 29\nfilms\n--server\n--sender\n-r\n.\nfilms/\n\n'),
  wants(1),
])

t.test('who takes nothing and hangs up, or half of it, has his place free again', async (t) => {
  if (!needs(t, 'rsync', 'rsync')) return
  for (const settings of [{}, { 'rsync-bandwidth': '1000000' }] as Record<string, string>[]) {
    const house = await openHouse(t, { ...settings, 'rsync-connections': '2' })
    await fill(join(house.pub, 'films'), { film: randomBytes(30 * megabyte) })
    const stuck = [1, 2].map(() => new RawClient(t, house.port))
    for (const { socket } of stuck) socket.pause()
    for (const client of stuck) client.say(wantsFilm)
    const fetching = async () =>
      JSON.parse((await house.command(['rsync', 'list'], { json: true })).out).flatMap(
        ({ clients }: { clients: { bytes: number }[] }) => clients,
      ) as { bytes: number }[]
    const isFull = async () => {
      const all = await fetching()
      return all.length === 2 && all.every(({ bytes }) => bytes > 100_000)
    }
    await until(isFull, 'both to be sent what they do not take')
    for (const { socket } of stuck) socket.end()
    await until(async () => (await fetching()).length === 0, 'both places to be free', 15_000)
    t.equal((await house.rsync('::films/film')).code, 0)
    t.same(await rsyncsOf(house.root), [])
  }
})

t.test('a server that stops waits for nobody who takes nothing, also where it sends itself', async (t) => {
  if (!needs(t, 'rsync', 'rsync')) return
  const server = await openServer(t, '--drain-seconds', '1', '--rsync-bandwidth', '1000000')
  const port = Number(new URL(await server.url('rsync')).port)
  await fill(join(server.root, 'rsync', 'pub', 'films'), { film: randomBytes(30 * megabyte) })
  const stuck = new RawClient(t, port)
  stuck.socket.pause()
  stuck.say(wantsFilm)
  await until(async () => (await rsyncsOf(server.root)).length === 1, 'the transfer')
  const began = performance.now()
  t.equal((await server.stop()).code, 0)
  t.ok(performance.now() - began < 8000)
  t.same(await rsyncsOf(server.root), [])
})

/** A house whose front has less patience. */
const hurried = (times: Partial<Times>) =>
  definePlugin({
    name: 'rsync',
    api: 1,
    summary: 'the front alone',
    options,
    collections,
    async start(ctx) {
      const { root } = ctx.config
      const folder = join(root, 'rsync')
      await mkdir(folder)
      const registry = await Registry.open({ root, folder, published: ctx.store.published, log: ctx.log })
      serve(ctx, registry, { ...usual, ...times })
    },
  })

t.test('who says nothing is not waited for, at any point', async (t) => {
  if (!needs(t, 'rsync', 'rsync')) return
  const { port, pub, root } = await openHouse(t, {}, [hurried({ idle: 500, opening: 500 })])
  await fill(join(pub, 'films'), { film: randomBytes(20 * megabyte) })
  const silent = new RawClient(t, port)
  const half = new RawClient(t, port)
  half.say('@RSYNCD: 29\nfil')
  for (const client of [silent, half]) t.match(await client.closed, '@ERROR: timeout waiting')
  const after = new RawClient(t, port)
  after.say('@RSYNCD: 29\nfilms\n')
  t.match(await after.closed, /@RSYNCD: OK\n$/)
  // One that reads no more when the transfer has begun: rsync waits, and so it does not move.
  const stuck = new RawClient(t, port)
  stuck.say('@RSYNCD: 29\nfilms\n--server\n--sender\n-r\n.\nfilms/\n\n')
  stuck.socket.once('data', () => stuck.socket.pause())
  await until(async () => (await rsyncsOf(root)).length === 0, 'all rsyncs to be gone')
})

t.test('a transfer that goes on is not idle, however slowly, but has an end', async (t) => {
  if (!needs(t, 'rsync', 'rsync')) return
  const { port, pub, beside } = await openHouse(t, {}, [hurried({ idle: 1500, total: 6000 })])
  await fill(join(pub, 'films'), Object.fromEntries([1, 2, 3, 4].map((n) => [`${n}`, randomBytes(megabyte)])))
  const slow = slowly(t, port, join(beside, 'to'), 1500)
  t.equal((await slow.ended).code, 0)
  const slower = slowly(t, port, join(beside, 'again'), 200)
  t.not((await slower.ended).code, 0)
})
