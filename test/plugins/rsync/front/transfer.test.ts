import { randomBytes } from 'node:crypto'
import { mkdir, readdir, readFile, readlink } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { definePlugin } from '../../../../core/api.js'
import { collections } from '../../../../plugins/rsync/documents.js'
import { serve } from '../../../../plugins/rsync/front/serve.js'
import { type Times, usual } from '../../../../plugins/rsync/front/transfer.js'
import { Registry } from '../../../../plugins/rsync/modules/registry.js'
import { options } from '../../../../plugins/rsync/options.js'
import { until } from '../../../support/core/server-process.js'
import { needs } from '../../../support/needs.js'
import {
  fill,
  openHouse,
  openServer,
  RawClient,
  rsyncsOf,
  slowly,
  wants,
} from '../../../support/rsync/rsync-server.js'

t.setTimeout(300_000)

const megabyte = 1 << 20

t.test('rsync speaks to its client over the connection itself', async (t) => {
  if (!needs(t, 'rsync', 'rsync')) return
  for (const [settings, isDirect] of [
    [{}, true],
    [{ 'rsync-bandwidth': '20000' }, false],
  ] as const) {
    const { port, pub, root, beside } = await openHouse(t, settings)
    await fill(join(pub, 'films'), { film: randomBytes(20 * megabyte) })
    const { kill, ended } = slowly(t, port, join(beside, 'to'))
    await until(async () => (await rsyncsOf(root)).length === 1, 'a transfer')
    const [pid] = await rsyncsOf(root)
    const socket = /^socket:\[(\d+)\]$/.exec(await readlink(`/proc/${pid}/fd/1`))?.[1]
    const connections = await readFile('/proc/net/tcp', 'latin1')
    t.equal(new RegExp(` ${socket} `).test(connections), isDirect)
    kill()
    await ended
  }
})

t.test('a client that drops takes its rsync along', async (t) => {
  if (!needs(t, 'rsync', 'rsync')) return
  for (const settings of [{}, { 'rsync-bandwidth': '20000' }] as Record<string, string>[]) {
    const { port, pub, root, beside, status } = await openHouse(t, settings)
    await fill(join(pub, 'films'), { film: randomBytes(20 * megabyte) })
    const { kill, ended } = slowly(t, port, join(beside, 'to'))
    await until(async () => (await rsyncsOf(root)).length === 1, 'a transfer')
    kill()
    await ended
    await until(async () => (await rsyncsOf(root)).length === 0, 'its rsync to be gone')
    const raw = new RawClient(t, port)
    await raw.ask('films\n')
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
  await stuck.ask('films\n--server\n--sender\n-r\n.\nfilms/\n\n')
  stuck.socket.pause()
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
  silent.say('@RSYNCD: 29\n')
  await until(async () => (await rsyncsOf(server.root)).length === 2, 'two rsyncs')
  await server.kill9()
  await until(async () => (await rsyncsOf(server.root)).length === 0, 'both to be gone')
  t.not((await ended).code, 0)
  await silent.closed
})

/** What a client of protocol 29 says to have `film`, the only file of `films`, sent. */
const wantsFilm = Buffer.concat([Buffer.from('films\n--server\n--sender\n-r\n.\nfilms/\n\n'), wants(1)])

t.test('who takes nothing and hangs up, or half of it, has his place free again', async (t) => {
  if (!needs(t, 'rsync', 'rsync')) return
  for (const settings of [{}, { 'rsync-bandwidth': '1000000' }] as Record<string, string>[]) {
    const house = await openHouse(t, { ...settings, 'rsync-connections': '2' })
    await fill(join(house.pub, 'films'), { film: randomBytes(30 * megabyte) })
    const stuck = [1, 2].map(() => new RawClient(t, house.port))
    for (const client of stuck) {
      await client.ask(wantsFilm)
      client.socket.pause()
    }
    const isFull = async () => {
      const all = await house.fetching()
      return all.length === 2 && all.every(({ bytes }) => bytes > 100_000)
    }
    await until(isFull, 'both to be sent what they do not take')
    for (const { socket } of stuck) socket.end()
    await until(async () => (await house.fetching()).length === 0, 'both places to be free', 15_000)
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
  await stuck.ask(wantsFilm)
  stuck.socket.pause()
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
  await after.ask('films\n')
  t.match(await after.closed, /@RSYNCD: OK\n$/)
  // One that reads no more when the transfer has begun: rsync waits, and so it does not move.
  const stuck = new RawClient(t, port)
  await stuck.ask('films\n--server\n--sender\n-r\n.\nfilms/\n\n')
  stuck.socket.pause()
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
