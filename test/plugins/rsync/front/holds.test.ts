import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { definePlugin, RequestError } from '../../../../core/api.js'
import { type Client, Modules } from '../../../../plugins/rsync/public.js'
import { until } from '../../../support/core/server-process.js'
import { needs } from '../../../support/needs.js'
import { fill, openHouse, RawClient, rsyncsOf } from '../../../support/rsync/rsync-server.js'

/** Makes modules when it is told to. */
function maker() {
  const asked: { name: string; client: Client }[] = []
  const answers = new Map<string, () => Promise<boolean>>()
  let modules: Modules | undefined
  const plugin = definePlugin({
    name: 'maker',
    api: 1,
    summary: 'makes modules',
    needs: { modules: Modules },
    start(ctx) {
      modules = ctx.needs.modules
      const stop = ctx.needs.modules.provide(async (name, client) => {
        asked.push({ name, client })
        while (!answers.has(name) && !client.signal.aborted) await sleep(5)
        return (await answers.get(name)?.()) ?? false
      })
      ctx.defer(stop)
    },
  })
  return {
    plugin,
    asked,
    answer: (name: string, answer: () => Promise<boolean>) => answers.set(name, answer),
    publish: (name: string, path: string) =>
      modules?.publish({ name, path, comment: '', owners: 'files' }) ?? Promise.reject(new Error('not yet')),
  }
}

t.test('a module that did not exist when its clients came is served when it is made', async (t) => {
  if (!needs(t, 'rsync', 'rsync')) return
  const { plugin, asked, answer, publish } = maker()
  const house = await openHouse(t, { 'rsync-connections': '2' }, ['rsync', plugin])
  const folder = join(house.beside, 'made')
  await fill(folder, { film: 'film' })
  const fetching = [1, 2].map((n) => house.rsync('-a', '::build-x/', join(house.beside, `to-${n}`)))
  await until(() => asked.length === 2, 'both to be held')
  t.equal((await rsyncsOf(house.root)).length, 0, 'nothing runs for those who wait')
  await fill(join(house.pub, 'films'), { film: 'film' })
  const busy = [1, 2].map(() => new RawClient(t, house.port))
  for (const client of busy) await client.ask('films\n')
  await until(() => busy.every(({ heard }) => heard.endsWith('OK\n')), 'all places to be taken by others')
  for (const { socket } of busy) socket.destroy()
  await until(async () => (await rsyncsOf(house.root)).length === 0, 'them to be free')
  answer('build-x', async () => {
    await publish('build-x', folder)
    return true
  })
  for (const { code, err } of await Promise.all(fetching)) t.equal(code, 0, err)
  const again = await house.rsync('-ain', '::build-x/', join(house.beside, 'to-1'))
  t.equal(again.out, '')
  t.equal(asked.length, 2, 'what is there is not asked for')
})

t.test('who makes modules has his words reach the client', async (t) => {
  if (!needs(t, 'rsync', 'rsync')) return
  const { plugin, asked, answer } = maker()
  const house = await openHouse(t, {}, ['rsync', plugin])
  answer('build-no', async () => {
    throw new RequestError('UNAVAILABLE', 'build-no is being fetched (41 %)', {
      hint: 'try again in 10 minutes',
    })
  })
  const told = await house.rsync('::build-no/')
  t.equal(told.code, 5)
  t.match(told.err, '@ERROR: build-no is being fetched (41 %); try again in 10 minutes\n')
  answer('build-bad', async () => {
    throw new Error('a secret')
  })
  const failed = await house.rsync('::build-bad/')
  t.match(failed.err, '@ERROR: the school server cannot do that now -- try again later')
  t.notMatch(failed.err, 'secret')
  answer('build-none', async () => false)
  t.match((await house.rsync('::build-none/')).err, "@ERROR: Unknown module 'build-none'")
  const before = asked.length
  t.match((await house.rsync('::..%2fetc/')).err, '@ERROR: Unknown module')
  t.equal(asked.length, before, 'names that no module can have are asked of nobody')
})

t.test('a client that gives up waiting is known to have gone', async (t) => {
  if (!needs(t, 'rsync', 'rsync')) return
  const { plugin, asked } = maker()
  const house = await openHouse(t, {}, ['rsync', plugin])
  const client = new RawClient(t, house.port)
  client.say('@RSYNCD: 29\nbuild-x\n')
  await until(() => asked.length === 1, 'it to be held')
  t.equal(asked[0]?.client.address, '127.0.0.1')
  const { heard } = client
  const { house: inner } = house
  t.equal((await inner.status()).phase, 'ready')
  t.equal(client.heard, heard, 'nothing is said while it waits')
  client.socket.destroy()
  await until(() => asked[0]?.client.signal.aborted === true, 'its signal')
})

t.test('those who wait are told when the server stops', async (t) => {
  if (!needs(t, 'rsync', 'rsync')) return
  const { plugin, asked } = maker()
  const house = await openHouse(t, {}, ['rsync', plugin])
  const client = new RawClient(t, house.port)
  client.say('@RSYNCD: 29\nbuild-x\n')
  await until(() => asked.length === 1, 'it to be held')
  await house.house.stop()
  t.match(await client.closed, /@ERROR: the school server is stopping -- try again in a few minutes\n$/)
})
