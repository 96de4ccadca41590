import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { pino } from 'pino'
import t from 'tap'
import { type Collection, StoreError } from '../../../core/api.js'
import { NedbStore } from '../../../core/store/nedb/store.js'
import { HeldDelegations } from '../../../plugins/keyring/delegations/held.js'
import { PendingFile } from '../../../plugins/keyring/delegations/pending.js'
import { collections, type DelegationDoc } from '../../../plugins/keyring/documents.js'
import { authority, school, signed, take } from '../../support/keyring/delegations.js'
import { fill, smallDisk } from '../../support/keyring/key-files.js'
import { type Desk, madeUp, noon } from '../../support/keyring/open-keyring.js'
import { rounds, seed, spread } from '../../support/rounds.js'
import { seededRandom } from '../../support/seeded-random.js'
import { temporaryDirectorySync } from '../../support/temporary-directory.js'

t.setTimeout(300_000)

const ends = ({ service }: Desk) =>
  new Map([...service.held.all()].map(({ serial, until }) => [serial, until]))

t.test('when the disk is full nothing is taken, and with room everything is', async (t) => {
  const disk = smallDisk(t)
  if (disk === undefined) return
  const laptops = madeUp(60)
  const its = await authority(t)
  const [before, after] = ['20270601T000000Z', '20270901T000000Z']
  const [old, fresh] = [await signed(its, before, laptops), await signed(its, after, laptops)]
  const desk = await school(t, { root: disk })
  await take(desk, old)
  const empty = fill(disk)
  await t.rejects(take(desk, fresh), { code: 'NO_SPACE' })
  t.strictSame(new Set(ends(desk).values()), new Set([before]))
  empty()
  t.equal((await take(desk, fresh)).taken.length, 60)
  await desk.close()
  const again = await school(t, { root: disk, trusts: [], keys: [] })
  t.strictSame(new Set(ends(again).values()), new Set([after]))
})

t.test('what the store fails at is in the file, and counts at once and after a start', async (t) => {
  const laptops = madeUp(600)
  const its = await authority(t)
  const [before, after] = ['20270601T000000Z', '20270901T000000Z']
  const [old, fresh] = [await signed(its, before, laptops), await signed(its, after, laptops)]
  let left = Number.POSITIVE_INFINITY
  const failing = <D extends object>(collection: Collection<D>): Collection<D> => {
    const guarded = async <R>(work: () => Promise<R>): Promise<R> => {
      left -= 1
      if (left < 0) throw new StoreError('STORE_READ_ONLY', 'a write failed')
      return work()
    }
    return {
      get: (key) => collection.get(key),
      find: (where, page) => collection.find(where, page),
      count: (where) => collection.count(where),
      insert: (doc) => guarded(() => collection.insert(doc)),
      update: (key, rev, change) => guarded(() => collection.update(key, rev, change)),
      remove: (key) => collection.remove(key),
    }
  }
  const desk = await school(t, {
    store: (store) => ({ ...store, delegations: failing<DelegationDoc>(store.delegations) as never }),
  })
  await take(desk, old)
  const pending = join(desk.root, 'keyring', 'delegations.pending')
  t.notOk(existsSync(pending))
  left = 300
  t.equal((await take(desk, fresh)).taken.length, 600)
  t.strictSame(new Set(ends(desk).values()), new Set([after]))
  t.equal(statSync(pending).mode & 0o777, 0o600, 'the file holds uuids')
  await t.rejects(take(desk, await signed(its, '20271001T000000Z', laptops)), { code: 'STORE_READ_ONLY' })
  t.strictSame(new Set(ends(desk).values()), new Set([after]), 'none of those that came next')
  await desk.close()
  const again = await school(t, { root: desk.root, trusts: [], keys: [] })
  t.strictSame(new Set(ends(again).values()), new Set([after]))
  t.notOk(existsSync(pending))
  await again.close()
  writeFileSync(pending, '{"count":2}\n{}\n')
  await t.rejects(school(t, { root: desk.root, trusts: [], keys: [] }), { code: 'DAMAGED' })
})

t.test('an import of which it was said that it failed does not come back with the next start', async (t) => {
  class Unsure extends PendingFile {
    override async write(docs: readonly DelegationDoc[]): Promise<void> {
      await super.write(docs)
      throw new Error('the directory could not be flushed')
    }
  }
  const folder = temporaryDirectorySync(t)
  const log = pino({ level: 'silent' })
  const store = new NedbStore(join(folder, 'store'), log)
  t.teardown(() => store.close())
  const collection = await store.open('keyring/delegations', collections.delegations)
  const path = join(folder, 'delegations.pending')
  const held = await HeldDelegations.open(collection, new Unsure(path), log)
  const chain = 'sig02: sha256 ab 20300101T000000Z cd'
  const doc = { id: 'lease:A', role: 'lease' as const, serial: 'A', uuid: 'u', chain, key: 'k' }
  const docs = [{ ...doc, until: '20300101T000000Z', takenAt: noon.toISOString() }]
  await t.rejects(held.put(docs), { message: 'the directory could not be flushed' })
  t.strictSame([...held.all()], [])
  const again = await HeldDelegations.open(collection, new PendingFile(path), log)
  t.strictSame([...again.all()], [])
  await again.put(docs)
  t.match([...again.all()], [{ serial: 'A', root: 'ab' }])
})

t.test('what an import had written when it was killed, with uuids in it, does not stay', async (t) => {
  const desk = await school(t)
  await desk.close()
  const unfinished = join(desk.root, 'keyring', 'delegations.pending.new')
  writeFileSync(unfinished, '{"count":1}\n{"uuid":')
  await school(t, { root: desk.root, trusts: [], keys: [] })
  t.notOk(existsSync(unfinished))
})

t.test('an import that is killed has happened or not', async (t) => {
  const laptops = madeUp(300)
  const its = await authority(t)
  const root = temporaryDirectorySync(t)
  const folder = temporaryDirectorySync(t)
  const times = ['20270601T000000Z', '20270701T000000Z', '20270801T000000Z', '20270901T000000Z']
  for (const until of times) writeFileSync(join(folder, until), await signed(its, until, laptops))
  const first = await school(t, { root })
  await take(first, readFileSync(join(folder, times[0] ?? ''), 'utf8'))
  await first.close()
  const program = fileURLToPath(new URL('../../support/keyring/delegations-process.js', import.meta.url))
  let told = times[0] ?? ''
  const random = seededRandom(seed)
  const seen = new Set<string>()
  for (const [round, until] of times.slice(1).entries()) {
    const many = rounds(3, 2)
    for (let attempt = 0; attempt < many; attempt += 1) {
      const child = spawn(process.execPath, [program, root, join(folder, until)], {
        stdio: ['ignore', 'pipe', 'inherit'],
      })
      let said = ''
      child.stdout.setEncoding('utf8').on('data', (text: string) => {
        said += text
      })
      const closed = once(child, 'close')
      await Promise.race([once(child.stdout, 'data'), closed])
      await sleep(10 + 15 * round + spread(random, attempt, many, 105))
      child.kill('SIGKILL')
      await closed
      const desk = await school(t, { root, trusts: [], keys: [] })
      const found = new Set(ends(desk).values())
      t.equal(found.size, 1, `one import or the other, and no mixture (${[...found]})`)
      const [is = ''] = found
      if (said.includes('taken')) told = until
      t.ok(is >= told, 'what was told is kept')
      seen.add(`${is === until ? 'new' : 'old'}`)
      await desk.close()
    }
  }
  t.comment(`found after a kill: ${[...seen]}`)
})
