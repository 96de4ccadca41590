import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import t from 'tap'
import { readEntry } from '../../../../plugins/backup/journal/entry.js'
import { indexJournal } from '../../../../plugins/backup/journal/index.js'
import { pngOf } from '../../../../plugins/backup/journal/preview.js'
import { type Query, search } from '../../../../plugins/backup/journal/search.js'
import type { Row } from '../../../../plugins/backup/tree.js'
import {
  chat,
  drawing,
  type Files,
  filesOf,
  png,
  put,
  putDatastore,
  song,
  uidOf,
} from '../../../support/backup/datastore.js'
import { treeOf, treeOfFiles, treeOfFolder } from '../../../support/backup/memory-tree.js'
import { runs } from '../../../support/rounds.js'

const folder = mkdtempSync(join(tmpdir(), 'sugar-journals-'))
t.teardown(() => rmSync(folder, { recursive: true, force: true }))

t.test('a Journal of today is read, whether its folder was sent or what is in it', async (t) => {
  putDatastore(join(folder, 'six/datastore'))
  put(join(folder, 'six'), { 'notes/version': 'beside', 'aa/bb/cc': 'nothing of Sugar' })
  for (const tree of [treeOfFolder(join(folder, 'six')), treeOfFolder(join(folder, 'six/datastore'))]) {
    const index = indexJournal(tree)
    t.equal(index.lost, 0)
    const nothing = { mtime: '', creationTime: 0, tags: '', description: '', keep: false }
    t.strictSame(index.entries, [
      {
        uid: song.uid,
        title: 'Mi canción',
        activity: 'org.laptop.AbiWordActivity',
        mime: 'text/plain',
        timestamp: 1_700_000_300,
        mtime: '2023-11-14T22:18:20.000001',
        creationTime: 1_690_000_000,
        tags: 'música escuela',
        description: '',
        keep: true,
        hasData: true,
        size: 14,
        hasPreview: true,
      },
      {
        ...nothing,
        uid: drawing.uid,
        title: 'Dibujo \ufffd\ufffd',
        activity: 'org.laptop.Oficina',
        mime: 'image/png',
        timestamp: 1_700_000_200,
        hasData: true,
        size: 200_000,
        hasPreview: true,
      },
      {
        ...nothing,
        uid: chat.uid,
        title: '0',
        activity: 'org.laptop.Chat',
        mime: '',
        timestamp: 1_700_000_100,
        hasData: false,
        size: 0,
        hasPreview: false,
      },
    ])
    const entry = readEntry(tree, drawing.uid)
    t.strictSame(entry.metadata.get('title'), drawing.metadata.title, 'bytes are as they were')
    t.strictSame(entry.preview, png, 'base64 of a PNG is a PNG')
    t.equal(entry.data?.size, 200_000)
    const { metadata } = readEntry(tree, song.uid)
    t.notOk(metadata.has('.title.part'), 'what Sugar was still writing is no value')
    t.strictSame(metadata.get('description'), Buffer.alloc(0), '"" is a value')
  }
})

t.test('a Journal of Sugar 0.82 is read as Sugar would migrate it', async (t) => {
  const metadata = {
    'title:text': 'Carta \ud800',
    activity: 'org.laptop.AbiWordActivity',
    mtime: '2009-02-13T23:31:30',
    keep: 1,
    tags: null,
    buddies: { a: ['Ana'] },
    shared: true,
    '../../evil': 'outside',
  }
  put(join(folder, 'zero'), {
    [`store/${uidOf(1)}`]: 'Querida Ana',
    [`store/${uidOf(1)}.metadata`]: JSON.stringify(metadata),
    [`store/preview/${uidOf(1)}`]: png,
    [`store/${uidOf(2)}.metadata`]: '{"title": "Nur Text", "timestamp": 1234567889.5}',
    [`store/${uidOf(3)}`]: 'data without metadata',
    [`store/${uidOf(4)}.metadata`]: '{"title": ',
    [`store/${uidOf(4)}`]: 'still there',
  })
  const tree = treeOfFolder(join(folder, 'zero'))
  const index = indexJournal(tree)
  t.equal(index.lost, 1, 'JSON that ends early is counted')
  t.match(index.entries, [
    { uid: uidOf(1), title: 'Carta \ufffd', timestamp: 1234567890, keep: true, size: 11, hasPreview: true },
    { uid: uidOf(2), title: 'Nur Text', timestamp: 1234567889, keep: false, size: 0, hasPreview: false },
    { uid: uidOf(4), title: '', timestamp: 0, hasData: true, size: 11 },
  ])
  t.equal(index.entries.length, 3)
  const entry = readEntry(tree, uidOf(1))
  t.strictSame(entry.preview, png)
  t.strictSame(
    [...entry.metadata].map(([key, value]) => [key, key === 'preview' ? '' : value.toString()]),
    [
      ['preview', ''],
      ['title', 'Carta \ufffd'],
      ['activity', 'org.laptop.AbiWordActivity'],
      ['mtime', '2009-02-13T23:31:30'],
      ['keep', '1'],
      ['buddies', '{"a":["Ana"]}'],
      ['shared', '1'],
    ],
    'values become texts, and no key leads elsewhere',
  )
})

t.test('properties of 0.82 that are nested without end, or very many, cost themselves only', async (t) => {
  const nested = `{"title": "T", "deep": ${'['.repeat(200_000)}${']'.repeat(200_000)}}`
  const many = JSON.stringify(
    Object.fromEntries(Array.from({ length: 5000 }, (_, number) => [`k${number}`, 0])),
  )
  const tree = treeOfFiles({
    [`store/${uidOf(1)}.metadata`]: nested,
    [`store/${uidOf(2)}.metadata`]: many,
    [`store/${uidOf(3)}.metadata`]: '[]',
  })
  t.strictSame([...readEntry(tree, uidOf(1)).metadata.keys()], ['title'])
  t.equal(readEntry(tree, uidOf(2)).metadata.size, 1000)
  t.strictSame(readEntry(tree, uidOf(3)).lost, [{ key: '.metadata', why: 'damaged' }])
})

t.test('a laptop that was switched off while Sugar migrated has entries of both layouts', async (t) => {
  const uid = uidOf(1)
  const tree = treeOfFiles({
    ...filesOf({ uid, metadata: { title: 'migrated' } }),
    [`store/${uid}`]: 'not moved yet',
    [`store/${uid}.metadata`]: '{"title": "old", "tags": "kept"}',
    [`store/${uidOf(2)}.metadata`]: '{"title": "waiting"}',
  })
  const entries = indexJournal(tree).entries.map(({ title, tags, size }) => [title, tags, size])
  t.strictSame(entries.sort(), [
    ['migrated', 'kept', 13],
    ['waiting', '', 0],
  ])
})

t.test('what is lost, damaged or huge costs that value only, and is named', async (t) => {
  const { uid } = song
  const metadata = { title: 'T', description: 'd'.repeat(600_000), tags: `x${'é'.repeat(2000)}` }
  const tree = treeOfFiles(filesOf({ uid, data: 'x', metadata }), [
    `${uid.slice(0, 2)}/${uid}/metadata/title`,
  ])
  const index = indexJournal(tree)
  t.equal(index.lost, 2)
  t.match(index.entries[0], { title: '', description: '', tags: `x${'é'.repeat(511)}`, hasData: true })
  t.strictSame(readEntry(tree, uid).lost, [
    { key: 'description', why: 'too large' },
    { key: 'title', why: 'damaged' },
  ])
  t.throws(() => readEntry(tree, chat.uid), { code: 'NOT_FOUND' })
  t.throws(() => readEntry(tree, '../../x'), { code: 'NOT_FOUND' })
  const troubled = {
    ...tree,
    read(): never {
      throw new Error('EMFILE')
    },
  }
  t.throws(() => indexJournal(troubled), { message: 'EMFILE' }, 'a machine in trouble is no damaged Journal')
})

t.test('an empty Journal, and what is none, have no entries', async (t) => {
  for (const files of [{}, { version: '6' }, { 'datastore/version': '6' }, { 'notes.txt': 'hello' }]) {
    t.strictSame(indexJournal(treeOfFiles(files)), { entries: [], lost: 0 })
  }
})

t.test('only a PNG is a preview', async (t) => {
  t.strictSame(pngOf(png), png)
  t.strictSame(pngOf(Buffer.from(`\n${png.toString('base64').replace(/(.{20})/g, '$1\n')}`)), png)
  for (const none of ['', 'GIF89a', '<svg onload=alert(1)>', 'iVBOR', 'iVBORw0K'])
    t.equal(pngOf(Buffer.from(none)), undefined)
})

t.test('of 2,000 entries the right ones are found, page after page', async (t) => {
  const files: Files = { version: '6' }
  for (let number = 0; number < 2000; number += 1) {
    const metadata: Files = {
      title: `Trabajo ${number} ${number % 10 === 0 ? 'Pingüino' : 'gato'}`,
      activity: number % 2 === 0 ? 'org.laptop.Write' : 'org.laptop.Paint',
      mime_type: number % 2 === 0 ? 'text/plain' : 'image/png',
      timestamp: String(1_600_000_000 + Math.floor(number / 3)),
      tags: number % 7 === 0 ? 'NIÑOS' : '',
    }
    for (const key of ['keep', 'icon-color', 'share-scope', 'progress', 'checksum']) metadata[key] = '0'
    Object.assign(files, filesOf({ uid: uidOf(number), data: `${number}`, metadata }))
  }
  const index = indexJournal(treeOfFiles(files))
  t.equal(index.entries.length, 2000)

  const paged: string[] = []
  let after: string | undefined
  do {
    const page = search(index, { text: ' PINGUINO  niños ', limit: 7, after })
    paged.push(...page.entries.map(({ title }) => title))
    after = page.next
  } while (after !== undefined)
  const wanted = Array.from({ length: 29 }, (_, number) => `Trabajo ${number * 70} Pingüino`)
  t.strictSame(paged, wanted.reverse(), 'each once, newest first')

  const count = (query: Partial<Query>) => search(index, { limit: 1000, ...query }).entries.length
  t.equal(count({ activity: 'org.laptop.Paint' }), 1000)
  t.equal(count({ activity: 'org.laptop.Pain' }), 0)
  t.equal(count({ mime: 'text/plain', text: 'write pingu' }), 200)
  t.equal(count({ from: 1_600_000_010, to: 1_600_000_012 }), 6)
  t.equal(count({ text: 'gato pingüino' }), 0, 'all words must be there')
  t.notOk('next' in search(index, { mime: 'image/png', limit: 1000 }), 'a full page may be the last one')

  const first = search(index, { limit: 10 })
  const gone = first.entries.at(-1)
  t.strictSame(
    search(
      { ...index, entries: index.entries.filter((entry) => entry !== gone) },
      { limit: 5, after: first.next },
    ).entries,
    index.entries.slice(10, 15),
    'a page goes on where it should when an entry is gone meanwhile',
  )
})

t.test('a question that makes no sense is refused', async (t) => {
  const index = indexJournal(treeOfFiles(filesOf(song)))
  const queries: Query[] = [
    { limit: 0 },
    { limit: 1.5 },
    { limit: 100_000 },
    { limit: 1, after: '' },
    { limit: 1, after: '1.../x' },
    { limit: 1, text: 'a'.repeat(1001) },
  ]
  for (const query of queries) t.throws(() => search(index, query), { code: 'REQUEST_INVALID' })
  t.equal(search(index, { limit: 1, text: '' }).entries.length, 1)
})

t.test('no tree, however weird, stops the index or the search', async () => {
  const bytes = fc.uint8Array({ maxLength: 40 }).map((array) => Buffer.from(array))
  const uid = uidOf(1)
  const names = [
    'data',
    'metadata',
    'store',
    'preview',
    'version',
    'datastore',
    uid.slice(0, 2),
    uid,
    '..',
    '',
  ]
  const keys = ['title', 'timestamp', 'tags', '__proto__', `${uid}.metadata`, `${uid.slice(0, 2)}x`]
  const name = fc.oneof(
    fc.constantFrom(...names, ...keys),
    bytes.map((buffer) => buffer.toString('latin1')),
  )
  const path = fc.oneof(
    fc.array(name, { maxLength: 5 }).map((parts) => parts.join('/')),
    fc.constantFrom(...keys).map((key) => `${uid.slice(0, 2)}/${uid}/metadata/${key}`),
    fc.constantFrom(uid, `${uid}.metadata`, `preview/${uid}`).map((part) => `store/${part}`),
  )
  const content = fc.oneof(
    bytes,
    fc.json().map((text) => Buffer.from(text)),
    fc.constantFrom('[[', '{"__proto__": {"title": 1}}', '1e999', 'null').map((text) => Buffer.from(text)),
  )
  const common = { path, mode: fc.nat(0o7777), seconds: fc.integer(), nanos: fc.nat(999_999_999) }
  const row: fc.Arbitrary<Row> = fc.oneof(
    fc.record({ type: fc.constant('directory' as const), ...common }),
    fc.record({ type: fc.constant('link' as const), ...common, target: path }),
    fc
      .record({ type: fc.constant('file' as const), ...common, content })
      .map((file) => ({ ...file, size: file.content.length })),
  )
  const query = fc.record({ text: fc.string({ unit: 'binary' }), limit: fc.integer({ min: 1, max: 3 }) })
  fc.assert(
    fc.property(fc.array(row, { maxLength: 30 }), fc.boolean(), query, (rows, damaged, asked) => {
      const tree = treeOf(rows, new Set(damaged ? rows.map(({ path }) => path) : []))
      const index = indexJournal(tree)
      const seen = new Set<string>()
      for (let page = search(index, asked); ; page = search(index, { ...asked, after: page.next })) {
        for (const { uid, title } of page.entries) {
          if (seen.has(uid) || !title.isWellFormed()) return false
          seen.add(uid)
          readEntry(tree, uid)
        }
        if (page.next === undefined) break
      }
      return asked.text.trim() !== '' || seen.size === index.entries.length
    }),
    runs(500),
  )
})
