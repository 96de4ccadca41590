import { isDeepStrictEqual } from 'node:util'
import fc from 'fast-check'
import type { Test } from 'tap'
import {
  type Collection,
  type CollectionSpec,
  each,
  type Migration,
  type Store,
  type Stored,
} from '../../../core/api.js'
import type { Page, Where } from '../../../core/store/contract.js'
import { runs } from '../rounds.js'

/** A document with any further fields. */
interface Paper {
  id: string
  name?: string | undefined
  tags?: string[] | undefined
  n?: number | undefined
  [field: string]: unknown
}

const papers: CollectionSpec<Paper> = { key: 'id', indexes: ['name', 'tags', 'n'] }
const name = 'test/papers'

/** Texts that databases, files and JavaScript objects stumble over. */
const hostile = [
  '__proto__',
  'constructor',
  'hasOwnProperty',
  '$set',
  '$$deleted',
  '$$date',
  'a.b',
  '.',
  '_id',
  '0',
  '-1',
  ' ',
  'a',
  'A',
  'ä',
  'a\u0308',
  'a ',
  ' a',
  "' OR 1=1 --",
  '%',
  '_',
  '\\',
  '"',
  '\n',
  '\r\n',
  '\v\f',
  '\x85',
  '\u2028\u2029',
  '\u202egpj.exe',
  '\ufeff',
  '🦉',
  '👩‍👩‍👧',
  '<script>&amp;',
]

/** A document as JSON brings it back. */
const plain = <T>(value: T): T => JSON.parse(JSON.stringify(value)) as T

const withoutRev = <D extends object>({ rev: _, ...doc }: Stored<D>): object => doc

async function inBatches<T>(items: readonly T[], work: (item: T) => Promise<unknown>): Promise<void> {
  for (let at = 0; at < items.length; at += 500) await Promise.all(items.slice(at, at + 500).map(work))
}

async function pages<D extends object>(
  collection: Collection<D>,
  where: Where<D>,
  page: Page<D>,
  between: () => Promise<unknown> = async () => undefined,
): Promise<Stored<D>[]> {
  const found: Stored<D>[] = []
  for (let after: Stored<D> | undefined; ; ) {
    const some = await collection.find(where, after === undefined ? page : { ...page, after })
    if (some.length === 0) return found
    found.push(...some)
    after = some.at(-1)
    await between()
  }
}

/**
 * What every store driver promises: the contract of core/store/contract.ts, tried.
 * @param openStore opens the store of this name, empty at first; asked again after it was closed, the same one
 */
export function conformance(t: Test, driver: string, openStore: (place: string) => Promise<Store>): void {
  let places = 0
  const newPlace = () => {
    places += 1
    return `p${places}`
  }

  async function open(t: Test, spec = papers, place = newPlace()) {
    let store = await openStore(place)
    let collection = await store.open(name, spec)
    t.teardown(() => store.close())
    return {
      place,
      get store() {
        return store
      },
      get papers() {
        return collection
      },
      /** Closes the store and opens it again, for other documents if need be. */
      async reopen(other = spec) {
        await store.close()
        store = await openStore(place)
        collection = await store.open(name, other)
      },
    }
  }

  t.test(`${driver}: what goes in comes out`, async (t) => {
    await t.test(
      'hostile texts as keys are told apart, and are there after the store was reopened',
      async (t) => {
        const it = await open(t)
        for (const [at, id] of hostile.entries()) await it.papers.insert({ id, n: at, name: id, tags: [id] })
        const check = async () => {
          for (const [at, id] of hostile.entries()) {
            const label = encodeURIComponent(id)
            t.same(await it.papers.get(id), { id, n: at, name: id, tags: [id], rev: 1 }, label)
            const named = await it.papers.find({ name: id })
            t.same(
              named.map((one) => one.id),
              [id],
              `${label} by name`,
            )
            const tagged = await it.papers.find({ tags: id })
            t.same(
              tagged.map((one) => one.id),
              [id],
              `${label} by tag`,
            )
          }
          const all = (await pages(it.papers, {}, { limit: 4 })).map(({ id }) => id)
          t.same(all.toSorted(), hostile.toSorted(), 'a listing names each once')
        }
        await check()
        await it.reopen()
        await check()
        for (const id of hostile) {
          await it.papers.update(id, 1, { name: `${id}!` })
          t.equal((await it.papers.get(id))?.name, `${id}!`)
          t.equal(await it.papers.remove(id), true)
        }
        t.equal(await it.papers.count({}), 0)
        await it.reopen()
        t.equal(await it.papers.count({}), 0, 'what was removed stays away')
      },
    )

    await t.test('hostile field names are data at every depth', async (t) => {
      const it = await open(t)
      const inner = Object.fromEntries(hostile.map((field, at) => [field, at]))
      const doc: Paper = { ...Object.fromEntries(hostile.map((field) => [field, inner])), id: 'x' }
      await it.papers.insert(doc)
      for (const round of ['at once', 'reopened']) {
        const found = (await it.papers.get('x')) ?? { id: '', rev: 0 }
        t.ok(isDeepStrictEqual(withoutRev(found), doc), round)
        t.equal(Object.getPrototypeOf(found), Object.prototype, `${round}: the prototype is nobody's`)
        await it.reopen()
      }
      t.equal(({} as Record<string, unknown>).polluted, undefined)
    })

    await t.test('every kind of JSON value comes back as it was', async (t) => {
      const it = await open(t)
      let deep: unknown = 'bottom'
      for (let level = 0; level < 200; level += 1) deep = level % 2 === 0 ? [deep] : { deep }
      const doc: Paper = {
        id: 'values',
        empty: '',
        zero: 0,
        no: false,
        nothing: null,
        big: Number.MAX_SAFE_INTEGER,
        small: 5e-324,
        none: [],
        bare: {},
        list: [0, '', false, null, [], {}],
        owl: '🦉\u0000\u2028\u2029\u0085\ud800',
        deep,
        operator: { $gt: '', $set: { a: 1 }, $$date: 0, $$deleted: true },
      }
      await it.papers.insert(doc)
      await it.papers.insert({ id: 'zero', n: 0, name: '', tags: [] })
      for (const round of ['at once', 'reopened']) {
        t.ok(isDeepStrictEqual(await it.papers.get('values'), { ...doc, rev: 1 }), round)
        t.same(
          (await it.papers.find({ n: 0 })).map(({ id }) => id),
          ['zero'],
          `${round}: 0 is a value`,
        )
        t.same(
          (await it.papers.find({ name: '' })).map(({ id }) => id),
          ['zero'],
          `${round}: so is ""`,
        )
        await it.reopen()
      }
    })

    await t.test("a document is not the caller's object: changing one leaves the other", async (t) => {
      const it = await open(t)
      const doc = { id: 'mine', tags: ['a'] }
      await it.papers.insert(doc)
      doc.tags.push('b')
      const found = await it.papers.get('mine')
      t.same(found?.tags, ['a'])
      found?.tags?.push('c')
      t.same((await it.papers.get('mine'))?.tags, ['a'])
    })
  })

  t.test(`${driver}: writes that must not be`, async (t) => {
    const it = await open(t)
    await t.test('a taken key is a conflict, and the document stays', async (t) => {
      await it.papers.insert({ id: 'taken', name: 'first' })
      await t.rejects(it.papers.insert({ id: 'taken', name: 'second' }), { code: 'STORE_CONFLICT' })
      t.same(await it.papers.get('taken'), { id: 'taken', name: 'first', rev: 1 })
    })

    await t.test('a revision that has moved on is a conflict, as is a document that is gone', async (t) => {
      await it.papers.insert({ id: 'moved', n: 1 })
      t.same(await it.papers.update('moved', 1, { n: 2 }), { id: 'moved', n: 2, rev: 2 })
      for (const rev of [0, 1, 3, -1, Number.NaN]) {
        await t.rejects(it.papers.update('moved', rev, { n: 9 }), { code: 'STORE_CONFLICT' }, `rev ${rev}`)
      }
      await t.rejects(it.papers.update('never', 1, { n: 9 }), { code: 'STORE_CONFLICT' })
      t.same(await it.papers.get('moved'), { id: 'moved', n: 2, rev: 2 })
    })

    await t.test('a document keeps its key, and the store keeps "rev"', async (t) => {
      await it.papers.insert({ id: 'fixed' })
      await t.rejects(it.papers.update('fixed', 1, { id: 'other' }), { code: 'STORE_INVALID' })
      await t.rejects(it.papers.insert({ id: 'forged', rev: 7 }), { code: 'STORE_INVALID' })
      t.same(await it.papers.update('fixed', 1, { id: 'fixed', n: 1 }), { id: 'fixed', n: 1, rev: 2 })
    })

    await t.test('keys that are none are refused by every call', async (t) => {
      const bad: unknown[] = [
        '',
        'x'.repeat(201),
        'a\0b',
        '\ud800',
        'x\udc00y',
        7,
        null,
        undefined,
        {},
        ['a'],
      ]
      for (const key of bad as string[]) {
        const label = JSON.stringify(key)?.slice(0, 20)
        const refused = { code: 'STORE_INVALID' }
        await t.rejects(it.papers.insert({ id: key }), refused, `insert ${label}`)
        await t.rejects(it.papers.get(key), refused, `get ${label}`)
        await t.rejects(it.papers.update(key, 1, {}), refused, `update ${label}`)
        await t.rejects(it.papers.remove(key), refused, `remove ${label}`)
      }
      const longest = '🦉'.repeat(100)
      await it.papers.insert({ id: longest })
      t.equal((await it.papers.get(longest))?.id, longest, '200 characters are not too many')
    })

    await t.test('a document over 1 MiB is refused, one just under it is kept', async (t) => {
      const roomy = (1 << 20) - 100
      await t.rejects(it.papers.insert({ id: 'huge', text: 'x'.repeat(1 << 20) }), { code: 'STORE_INVALID' })
      const wide = 'é'.repeat(600_000)
      await t.rejects(it.papers.insert({ id: 'huge', text: wide }), { code: 'STORE_INVALID' }, 'bytes count')
      t.equal(await it.papers.get('huge'), undefined)
      await it.papers.insert({ id: 'large', text: 'x'.repeat(roomy) })
      await t.rejects(it.papers.update('large', 1, { more: 'y'.repeat(200) }), { code: 'STORE_INVALID' })
      await it.reopen()
      t.equal(String((await it.papers.get('large'))?.text).length, roomy)
    })

    await t.test('an indexed field holds text, numbers or lists of them', async (t) => {
      for (const value of [{ $gt: '' }, true, [null], [['a']]] as unknown as string[]) {
        await t.rejects(it.papers.insert({ id: 'odd', name: value }), { code: 'STORE_INVALID' })
      }
      await it.papers.insert({ id: 'bare', name: null as unknown as string })
      t.same(await it.papers.get('bare'), { id: 'bare', name: null, rev: 1 }, 'null is as good as none')
    })
  })

  t.test(`${driver}: finding`, async (t) => {
    const it = await open(t)
    await it.papers.insert({ id: 'b', name: 'ana', tags: ['red', 'blue', 'red'], n: 1 })
    await it.papers.insert({ id: 'a', name: 'ana', tags: ['blue'], n: 2 })
    await it.papers.insert({ id: 'c', name: 'bo', n: 2 })
    const ids = async (where: Where<Paper>, page?: Page<Paper>) =>
      (await it.papers.find(where, page)).map(({ id }) => id)

    await t.test('documents are found by a field, by a member of a list, and by both', async (t) => {
      for (const round of ['at once', 'reopened']) {
        t.same(await ids({ name: 'ana' }), ['a', 'b'], round)
        t.same(await ids({ tags: 'blue' }), ['a', 'b'])
        t.same(await ids({ tags: 'red' }), ['b'], 'once, however often the list says it')
        t.same(await ids({ name: 'ana', n: 2 }), ['a'])
        t.same(await ids({ id: 'c' }), ['c'])
        t.same(await ids({ name: 'cy' }), [])
        t.same(await ids({ n: '2' }), [], 'text is no number')
        t.same([await it.papers.count({}), await it.papers.count({ n: 2 })], [3, 2])
        await it.reopen()
      }
    })

    await t.test('the limit is kept, and pages go on behind the last document', async (t) => {
      t.same(await ids({}, { limit: 2 }), ['a', 'b'])
      t.same(await ids({}, { limit: 0 }), [])
      const [first] = await it.papers.find({}, { limit: 1 })
      t.ok(first)
      if (first !== undefined) t.same(await ids({}, { after: first }), ['b', 'c'])
      t.same(await ids({}, { by: 'n' }), ['b', 'a', 'c'], 'by a field, then by key')
    })

    await t.test('documents without the field are left out of its order', async (t) => {
      await it.papers.insert({ id: 'd' })
      t.same(await ids({}, { by: 'n' }), ['b', 'a', 'c'])
      t.same(await ids({}), ['a', 'b', 'c', 'd'])
      await it.papers.remove('d')
    })

    await t.test('what no index covers is refused, before it can be slow in a school', async (t) => {
      for (const field of ['colour', '_id', 'rev', 'i.name', '$where', '__proto__', 'name.x']) {
        const where = Object.fromEntries([[field, 'x']]) as Where<Paper>
        await t.rejects(it.papers.find(where), { code: 'STORE_INVALID' }, `find ${field}`)
        await t.rejects(it.papers.count(where), { code: 'STORE_INVALID' }, `count ${field}`)
        await t.rejects(it.papers.find({}, { by: field }), { code: 'STORE_INVALID' }, `by ${field}`)
      }
    })

    await t.test('a query is text or numbers: operators from a request have no power', async (t) => {
      const operators: unknown[] = [{ $ne: 'x' }, { $gt: '' }, /./, ['ana'], null, true, undefined]
      for (const value of [...operators, { toString: () => 'ana' }] as string[]) {
        await t.rejects(it.papers.find({ name: value }), { code: 'STORE_INVALID' })
        await t.rejects(it.papers.count({ name: value }), { code: 'STORE_INVALID' })
      }
    })

    await t.test('a changed field is found by its new value only, a removed one not at all', async (t) => {
      await it.papers.update('c', 1, { name: 'cy', tags: ['green'], n: undefined })
      for (const round of ['at once', 'reopened']) {
        const found = await it.papers.get('c')
        t.same(found, { id: 'c', name: 'cy', tags: ['green'], rev: 2 }, round)
        t.notOk('n' in (found ?? {}), 'a field set to undefined is gone')
        t.same([await ids({ name: 'bo' }), await ids({ name: 'cy' })], [[], ['c']])
        t.same([await ids({ tags: 'green' }), await ids({ n: 2 })], [['c'], ['a']])
        await it.reopen()
      }
    })

    await t.test('removing says whether it was there, and frees the key', async (t) => {
      t.same([await it.papers.remove('c'), await it.papers.remove('c')], [true, false])
      t.equal(await it.papers.get('c'), undefined)
      t.same(await ids({ name: 'cy' }), [])
      t.same(await it.papers.insert({ id: 'c' }), { id: 'c', rev: 1 })
      await it.reopen()
      t.same(await it.papers.get('c'), { id: 'c', rev: 1 })
    })
  })

  t.test(
    `${driver}: 10,000 documents come page by page, each once, in order, while others arrive`,
    async (t) => {
      const it = await open(t)
      const wide = (n: number) => String(n).padStart(5, '0')
      const all = Array.from({ length: 10_000 }, (_, at) => ({
        id: `k${wide(at)}`,
        n: (at * 7) % 100,
        name: 'x',
      }))
      await inBatches(all, (doc) => it.papers.insert(doc))
      t.equal(await it.papers.count({ name: 'x' }), 10_000)

      let late = 0
      const arrive = async () => {
        late += 1
        await it.papers.insert({ id: `k${wide((late * 997) % 10_000)}late${late}`, n: (late * 31) % 100 })
      }
      const old = (found: Stored<Paper>[]) => found.filter((doc) => doc.name === 'x').map(({ id }) => id)
      const byKey = await pages(it.papers, {}, { limit: 700 }, arrive)
      t.ok(
        isDeepStrictEqual(
          old(byKey),
          all.map(({ id }) => id),
        ),
        'by key',
      )
      const byNumber = await pages(it.papers, {}, { limit: 700, by: 'n' }, arrive)
      const expected = all.toSorted((a, b) => a.n - b.n || (a.id < b.id ? -1 : 1)).map(({ id }) => id)
      t.ok(isDeepStrictEqual(old(byNumber), expected), 'by a field in which many are equal')
      t.equal(new Set(byNumber.map(({ id }) => id)).size, byNumber.length, 'none twice')

      const walked: string[] = []
      for await (const doc of each(it.papers, { name: 'x' })) walked.push(doc.id)
      t.equal(walked.length, 10_000, 'each() reaches all of them')
      await it.reopen()
      t.equal(await it.papers.count({}), 10_000 + late)
    },
  )

  t.test(`${driver}: at the same time`, async (t) => {
    const it = await open(t)
    await t.test('one key inserted a thousand times at once: exactly one wins', async (t) => {
      const attempts = Array.from({ length: 1000 }, (_, n) => it.papers.insert({ id: 'one', n }))
      const ended = await Promise.allSettled(attempts)
      const won = ended.filter((one) => one.status === 'fulfilled')
      const codes = ended.flatMap((one) => (one.status === 'rejected' ? [one.reason.code] : []))
      t.equal(won.length, 1)
      t.same(new Set(codes), new Set(['STORE_CONFLICT']))
      t.same(await it.papers.get('one'), won[0]?.value)
    })

    await t.test('a hundred counters that try again on a conflict lose nothing', async (t) => {
      await it.papers.insert({ id: 'sum', n: 0 })
      const add = async () => {
        for (;;) {
          const doc = await it.papers.get('sum')
          if (doc === undefined) throw new Error('the counter is gone')
          try {
            await it.papers.update('sum', doc.rev, { n: (doc.n ?? 0) + 1 })
            return
          } catch (error) {
            if ((error as { code?: string }).code !== 'STORE_CONFLICT') throw error
          }
        }
      }
      await Promise.all(Array.from({ length: 100 }, add))
      t.same(await it.papers.get('sum'), { id: 'sum', n: 100, rev: 101 })
      await it.reopen()
      t.same(await it.papers.get('sum'), { id: 'sum', n: 100, rev: 101 })
    })
  })

  t.test(`${driver}: migrations`, async (t) => {
    interface Old {
      id: string
      n: number
      steps?: string[]
    }
    const first: CollectionSpec<Old> = { key: 'id' }
    const step =
      (label: string): Migration =>
      (doc: Record<string, unknown>) => ({
        ...doc,
        steps: [...((doc.steps as string[] | undefined) ?? []), label],
      })
    const third = (two = step('two')): CollectionSpec<Old> => ({
      key: 'id',
      indexes: ['steps'],
      version: 3,
      migrations: { 2: two, 3: step('three') },
    })
    const start = async (place: string, docs: number) => {
      const store = await openStore(place)
      const collection = await store.open('test/old', first)
      await inBatches(
        Array.from({ length: docs }, (_, n) => ({ id: `k${n}`, n })),
        (doc) => collection.insert(doc),
      )
      await store.close()
    }

    await t.test('documents go through every step in order, once', async (t) => {
      const place = newPlace()
      await start(place, 3)
      for (let round = 0; round < 2; round += 1) {
        const store = await openStore(place)
        const collection = await store.open('test/old', third())
        for (const n of [0, 1, 2]) {
          t.match(await collection.get(`k${n}`), { id: `k${n}`, n, steps: ['two', 'three'] })
        }
        t.equal(await collection.count({ steps: 'three' }), 3, 'what a migration adds is indexed')
        if (round === 0) await collection.insert({ id: 'new', n: 9 })
        else t.same((await collection.get('new'))?.steps, undefined, 'new documents are of the new version')
        await store.close()
      }
    })

    await t.test('a migration that broke off goes on where it was', async (t) => {
      const place = newPlace()
      await start(place, 1200)
      let left = 700
      const dying = third((doc) => {
        left -= 1
        if (left < 0) throw new Error('the power went')
        return step('two')(doc)
      })
      const broken = await openStore(place)
      await t.rejects(broken.open('test/old', dying), { message: 'the power went' })
      await broken.close()
      const store = await openStore(place)
      const collection = await store.open('test/old', third())
      let seen = 0
      for await (const doc of each(collection)) {
        seen += 1
        if (!isDeepStrictEqual(doc.steps, ['two', 'three'])) t.fail(`${doc.id} went through ${doc.steps}`)
      }
      t.equal(seen, 1200)
      await store.close()
    })

    await t.test('documents of a newer version are refused and left as they are', async (t) => {
      const place = newPlace()
      await start(place, 1)
      const newer = await openStore(place)
      await newer.open('test/old', third())
      await newer.close()
      const older = await openStore(place)
      await t.rejects(older.open('test/old', first), { code: 'STORE_NEWER', hint: /install/ })
      await older.close()
      const again = await openStore(place)
      const collection = await again.open('test/old', third())
      t.match(await collection.get('k0'), { n: 0, steps: ['two', 'three'] })
      await again.close()
    })

    await t.test('a missing step and a changed key stop it', async (t) => {
      const place = newPlace()
      await start(place, 1)
      const store = await openStore(place)
      const gap: CollectionSpec<Old> = { key: 'id', version: 3, migrations: { 3: step('three') } }
      await t.rejects(store.open('test/old', gap), { code: 'STORE_INVALID' })
      const rename = third((doc) => ({ ...doc, id: 'other' }))
      await t.rejects(store.open('test/old', rename), { code: 'STORE_INVALID' })
      const collection = await store.open('test/old', third())
      t.match(await collection.get('k0'), { n: 0, steps: ['two', 'three'] }, 'no harm was done')
      await store.close()
    })
  })

  t.test(`${driver}: opening and closing`, async (t) => {
    await t.test('collections of one store do not see each other', async (t) => {
      const store = await openStore(newPlace())
      const one = await store.open('test/one', papers)
      const two = await store.open('test/two', papers)
      await one.insert({ id: 'a', name: 'one' })
      t.equal(await two.get('a'), undefined)
      await two.insert({ id: 'a', name: 'two' })
      t.equal((await one.get('a'))?.name, 'one')
      await t.rejects(store.open('test/one', papers), { code: 'STORE_INVALID' }, 'each is opened once')
      for (const bad of [
        'one',
        '../etc/passwd',
        'test/one/two',
        'Test/one',
        'test/',
        'test/o ne',
        '__proto__',
      ]) {
        await t.rejects(store.open(bad, papers), { code: 'STORE_INVALID' }, bad)
      }
      await store.close()
    })

    await t.test(
      'a closed store says so, to reads and writes alike; closing twice is closing once',
      async (t) => {
        const it = await open(t)
        await it.papers.insert({ id: 'a' })
        const closed = { code: 'STORE_CLOSED' }
        const underWay = Promise.all(Array.from({ length: 50 }, (_, n) => it.papers.insert({ id: `k${n}` })))
        const closing = Promise.all([it.store.close(), it.store.close()])
        const late = t.rejects(it.papers.insert({ id: 'late' }), closed, 'insert while it closes')
        t.equal((await underWay).length, 50, 'what was under way is waited for')
        await Promise.all([closing, late])
        await t.rejects(it.papers.get('a'), closed, 'get')
        await t.rejects(it.papers.find({}), closed, 'find')
        await t.rejects(it.papers.count({}), closed, 'count')
        await t.rejects(it.papers.insert({ id: 'b' }), closed, 'insert')
        await t.rejects(it.papers.update('a', 1, { n: 1 }), closed, 'update')
        await t.rejects(it.papers.remove('a'), closed, 'remove')
        await t.rejects(it.store.open('test/more', papers), closed, 'open')
        await it.reopen()
        t.equal(await it.papers.count({}), 51)
      },
    )

    await t.test('status names the driver and nothing to worry about', async (t) => {
      const it = await open(t)
      const { driver: named, readOnly, repairs } = it.store.status()
      t.equal(named, driver)
      t.equal(readOnly, undefined)
      t.same(repairs, [])
    })
  })

  t.test(`${driver}: whatever is done to it, it holds what a map would`, async () => {
    const key = fc.oneof(
      fc.constantFrom('a', 'A', 'b', '__proto__', '\u2028', '🦉'),
      fc.constantFrom(...hostile),
    )
    const word = fc.oneof(
      fc.constantFrom('x', 'y', '', '__proto__', '\x85'),
      fc.string({ unit: 'grapheme', maxLength: 8 }),
    )
    const extra = fc
      .array(
        fc.tuple(fc.constantFrom('$set', 'a.b', '__proto__', 'constructor', 'note', ''), fc.jsonValue()),
        { maxLength: 3 },
      )
      .map((entries) => plain(Object.fromEntries(entries)))
    const indexed = fc.record(
      { name: word, tags: fc.array(word, { maxLength: 3 }), n: fc.integer({ min: -3, max: 3 }) },
      { requiredKeys: [] },
    )
    const step = fc.oneof(
      fc.record({ do: fc.constant('insert' as const), key, extra, indexed }),
      fc.record({
        do: fc.constant('update' as const),
        key,
        extra,
        indexed,
        stale: fc.boolean(),
        drop: fc.constantFrom('name', 'tags', 'n', 'note', '$set'),
      }),
      fc.record({ do: fc.constant('remove' as const), key }),
      fc.record({ do: fc.constant('reopen' as const) }),
    )
    const code = async (work: Promise<unknown>): Promise<string> =>
      work.then(
        () => 'done',
        (error) => error.code ?? String(error),
      )
    const byId = (docs: readonly Stored<Paper>[]) => docs.toSorted((a, b) => (a.id < b.id ? -1 : 1))

    await fc.assert(
      fc.asyncProperty(
        fc.array(step, { maxLength: 25 }),
        word,
        fc.integer({ min: 1, max: 4 }),
        async (steps, asked, limit) => {
          const place = newPlace()
          let store = await openStore(place)
          try {
            let collection = await store.open(name, papers)
            const model = new Map<string, Stored<Paper>>()
            const reopen = async () => {
              await store.close()
              store = await openStore(place)
              collection = await store.open(name, papers)
            }
            for (const one of steps) {
              if (one.do === 'reopen') {
                await reopen()
                continue
              }
              const known = model.get(one.key)
              if (one.do === 'insert') {
                const doc: Paper = { ...one.extra, ...one.indexed, id: one.key }
                const ended = await code(collection.insert(doc))
                if (ended !== (known ? 'STORE_CONFLICT' : 'done')) throw new Error(`insert: ${ended}`)
                if (known === undefined) model.set(one.key, { ...doc, rev: 1 })
              } else if (one.do === 'update') {
                const rev = (known?.rev ?? 1) - (one.stale ? 1 : 0)
                const change = { ...one.extra, ...one.indexed, [one.drop]: undefined }
                const ended = await code(collection.update(one.key, rev, change))
                const due = known !== undefined && !one.stale
                if (ended !== (due ? 'done' : 'STORE_CONFLICT')) throw new Error(`update: ${ended}`)
                if (due) {
                  const next: Record<string, unknown> = { ...known, ...change, rev: known.rev + 1 }
                  delete next[one.drop]
                  model.set(one.key, next as Stored<Paper>)
                }
              } else {
                const was = await collection.remove(one.key)
                if (was !== model.delete(one.key)) throw new Error(`remove: ${was}`)
              }
            }
            const same = async (round: string) => {
              const expect = (what: string, found: unknown, wanted: unknown) => {
                if (!isDeepStrictEqual(found, wanted))
                  throw new Error(
                    `${round}, ${what}: ${JSON.stringify(found)} is not ${JSON.stringify(wanted)}`,
                  )
              }
              const docs = [...model.values()]
              expect('all', byId(await pages(collection, {}, { limit })), byId(docs))
              for (const id of [...model.keys(), 'a', '__proto__'])
                expect(id, await collection.get(id), model.get(id))
              expect(
                'name',
                byId(await collection.find({ name: asked })),
                byId(docs.filter((doc) => doc.name === asked)),
              )
              const tagged = docs.filter((doc) => doc.tags?.includes(asked))
              expect('tags', byId(await collection.find({ tags: asked })), byId(tagged))
              const numbered = docs.filter((doc) => doc.n !== undefined)
              const ordered = await pages(collection, {}, { limit, by: 'n' })
              expect('by n', byId(ordered), byId(numbered))
              expect(
                'order',
                ordered.map(({ n }) => n),
                numbered.map(({ n }) => n ?? 0).toSorted((a, b) => a - b),
              )
              expect(
                'count',
                await collection.count({ name: asked }),
                docs.filter((doc) => doc.name === asked).length,
              )
            }
            await same('at once')
            await reopen()
            await same('reopened')
          } finally {
            await store.close()
          }
        },
      ),
      runs(80),
    )
  })
}
