import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import t from 'tap'
import { Seats } from '../../../../plugins/rsync/front/seats.js'
import { until } from '../../../support/core/server-process.js'
import { needs } from '../../../support/needs.js'
import { fill, openHouse, RawClient } from '../../../support/rsync/rsync-server.js'

t.test('who finds no place is told to come again, in the words that clients know', async (t) => {
  if (!needs(t, 'rsync', 'rsync')) return
  for (const settings of [{ 'rsync-connections': '2' }, { 'rsync-connections-each': '2' }]) {
    const house = await openHouse(t, settings as unknown as Record<string, string>)
    await fill(join(house.pub, 'films'), { film: 'film' })
    const busy = [1, 2].map(() => new RawClient(t, house.port))
    for (const client of busy) await client.ask('films\n')
    await until(() => busy.every(({ heard }) => heard.endsWith('OK\n')), 'two transfers')
    const third = await house.rsync('-a', '::films/', join(house.beside, 'to'))
    t.equal(third.code, 5)
    t.match(third.err, '@ERROR: max connections (2) reached -- try again later\n')
    t.equal((await house.rsync('::')).code, 0, 'a list takes no place')
    busy[0]?.socket.destroy()
    await until(
      async () => (await house.rsync('-a', '::films/', join(house.beside, 'to'))).code === 0,
      'the place to be free again',
    )
  }
})

t.test('the bandwidth is that of all together, shared among them', async (t) => {
  if (!needs(t, 'rsync', 'rsync')) return
  const { rsync, pub, beside } = await openHouse(t, { 'rsync-bandwidth': '4000' })
  await fill(join(pub, 'films'), { film: randomBytes(4_000_000) })
  let made = 0
  const fetch = async () => {
    made += 1
    const began = performance.now()
    const { code, err } = await rsync('-a', '::films/', join(beside, `to-${made}`))
    t.equal(code, 0, err)
    return (performance.now() - began) / 1000
  }
  const alone = await fetch()
  const both = await Promise.all([fetch(), fetch()])
  t.ok(alone > 0.8, `alone it took ${alone} s, and not less than the limit allows`)
  for (const one of both)
    t.ok(one / alone > 1.5 && one / alone < 3, `${one} s beside another, ${alone} s alone`)
})

t.test('a place is given back once', async (t) => {
  const seats = new Seats(2, 1)
  const first = seats.take('10.0.0.1')
  const second = seats.take('2001:db8::1')
  t.equal(seats.take('10.0.0.1'), 2)
  if (typeof first === 'number' || typeof second === 'number') throw new Error('there were two places')
  first()
  first()
  t.equal(seats.count, 1)
  t.equal(seats.take('2001:db8::2'), 1, 'the same network is one address')
  second()
  t.equal(seats.count, 0)
})
