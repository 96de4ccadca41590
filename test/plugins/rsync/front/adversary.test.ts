import { join } from 'node:path'
import t from 'tap'
import { definePlugin } from '../../../../core/api.js'
import { Modules } from '../../../../plugins/rsync/public.js'
import { until } from '../../../support/core/server-process.js'
import { needs } from '../../../support/needs.js'
import {
  fill,
  openHouse,
  openServer,
  RawClient,
  rsyncsOf,
  wants,
} from '../../../support/rsync/rsync-server.js'

t.setTimeout(300_000)

interface Facts {
  transfers?: unknown
  newcomers?: unknown
}

const greeting = /^@RSYNCD: \d\d\.\d+[^\n]*\n/

t.test('a client may go at any moment and in any way, and nothing stays of it', async (t) => {
  if (!needs(t, 'rsync', 'rsync')) return
  for (const more of [[], ['--rsync-bandwidth', '20000']]) {
    const server = await openServer(t, ...more)
    const port = Number(new URL(await server.url('rsync')).port)
    await fill(join(server.root, 'rsync', 'pub', 'films'), { film: Buffer.alloc(5 << 20, 'film') })
    const words = Buffer.concat([
      Buffer.from('#early_input=3\nabcfilms\n--server\n--sender\n-r\n.\nfilms/\n\n'),
      wants(1),
    ])
    for (let length = 0; length <= words.length; length += 1) {
      for (const leave of ['resetAndDestroy', 'destroy', 'end'] as const) {
        const client = new RawClient(t, port)
        await client.ask(words.subarray(0, length))
        client.socket[leave]()
      }
    }
    await until(async () => (await rsyncsOf(server.root)).length === 0, 'all rsyncs to be gone', 20_000)
    const { transfers, newcomers } = ((await server.status()).reports?.rsync?.facts ?? {}) as Facts
    t.match({ transfers, newcomers }, { transfers: [], newcomers: 0 })
    t.same(
      server.log().filter(({ level }) => level >= 40),
      [],
      'nor is it an error of ours',
    )
    t.equal((await server.stop()).code, 0)
  }
})

t.test('whatever byte is in the name of a module, it is answered in words', async (t) => {
  if (!needs(t, 'rsync', 'rsync')) return
  const { port, pub } = await openHouse(t)
  await fill(join(pub, 'films'), { film: 'film' })
  const answered = async (byte: number, name: Buffer) => {
    const client = new RawClient(t, port)
    await client.ask(Buffer.concat([name, Buffer.from('\n')]))
    await client.hears(() => /(?:OK|'|error)\n$/.test(client.heard.replace(greeting, '')), 'an answer')
    const answer = client.heard.replace(greeting, '')
    client.socket.destroy()
    if (byte === 13) t.equal(answer, '@RSYNCD: OK\n', 'rsync passes over CR')
    else t.match(answer, /^@ERROR: [ -~\u0080-\u00ff]*\n$/, `byte ${byte}`)
  }
  // A line feed ends the name.
  const bytes = Array.from({ length: 256 }, (_, byte) => byte).filter((byte) => byte !== 10)
  while (bytes.length > 0) {
    const names = bytes.splice(0, 8).flatMap((byte) => {
      const [odd, fil, ms] = [Buffer.from([byte]), Buffer.from('fil'), Buffer.from('ms')]
      return [
        [fil, odd, ms],
        [odd, fil, ms],
        [fil, ms, odd],
      ].map((name) => ({ byte, name }))
    })
    await Promise.all(names.map(({ byte, name }) => answered(byte, Buffer.concat(name))))
  }
})

t.test('hundreds may wait for one module, and each is served or told to come again', async (t) => {
  if (!needs(t, 'rsync', 'rsync')) return
  let asked = 0
  let made: () => void = () => undefined
  const ready = new Promise<void>((resolve) => {
    made = resolve
  })
  let modules: Modules | undefined
  const maker = definePlugin({
    name: 'maker',
    api: 1,
    summary: 'makes a module',
    needs: { modules: Modules },
    start(ctx) {
      modules = ctx.needs.modules
      ctx.needs.modules.provide(async () => {
        asked += 1
        await ready
        return true
      })
    },
  })
  const house = await openHouse(t, {}, ['rsync', maker])
  await fill(join(house.beside, 'build'), { film: 'film' })
  const clients = Array.from({ length: 300 }, () => new RawClient(t, house.port))
  for (const client of clients) client.say('@RSYNCD: 29\nbuild-x\n')
  await until(() => asked === 300, 'all to be held')
  t.same(await rsyncsOf(house.root), [], 'without an rsync')
  for (const { socket } of clients.splice(0, 100)) socket.resetAndDestroy()
  await modules?.publish({
    ...{ name: 'build-x', path: join(house.beside, 'build'), comment: '', owners: 'files' },
  })
  made()
  const answer = ({ heard }: RawClient) => heard.replace(greeting, '')
  await until(() => clients.every((client) => /\n$/.test(answer(client))), 'an answer for all')
  const served = clients.filter((client) => answer(client) === '@RSYNCD: OK\n')
  t.equal(served.length, 48, 'as many as one address may have')
  const others = clients.filter((client) => !served.includes(client))
  for (const client of others)
    t.match(answer(client), /^@ERROR: max connections \(48\) reached -- try again later\n$/)
  for (const { socket } of clients) socket.destroy()
  await until(async () => (await rsyncsOf(house.root)).length === 0, 'all rsyncs to be gone', 20_000)
})
