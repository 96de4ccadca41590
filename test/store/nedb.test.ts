import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { pino } from 'pino'
import t, { type Test } from 'tap'
import type { Collection, CollectionSpec } from '../../core/api.js'
import { keptOf } from '../../core/store/nedb/kept.js'
import { NedbStore } from '../../core/store/nedb/store.js'
import { conformance } from '../support/core/store-conformance.js'
import { needs } from '../support/needs.js'
import { seed } from '../support/rounds.js'
import { seededRandom } from '../support/seeded-random.js'

t.setTimeout(300_000)

interface Paper {
  id: string
  name?: string
  text?: string
}

const spec: CollectionSpec<Paper> = { key: 'id', indexes: ['name'] }
const log = pino({ level: 'silent' })
const file = 'test.papers.db'
const childPath = fileURLToPath(new URL('../support/core/store-process.js', import.meta.url))

async function folderFor(t: Pick<Test, 'teardown'>): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'sugar-store-'))
  t.teardown(() => rm(folder, { recursive: true, force: true }))
  return folder
}

/** Opens the papers of a folder, does something with them, and closes. */
async function within<R>(
  folder: string,
  work: (papers: Collection<Paper>, store: NedbStore) => Promise<R>,
): Promise<R> {
  const store = new NedbStore(folder, log)
  try {
    return await work(await store.open('test/papers', spec), store)
  } finally {
    await store.close()
  }
}

const idsIn = (folder: string): Promise<string[]> =>
  within(folder, async (papers) => (await papers.find({})).map(({ id }) => id))

const keep = (folder: string, ids: readonly string[]): Promise<void> =>
  within(folder, async (papers) => {
    for (const id of ids) await papers.insert({ id, name: `name of ${id}` })
  })

const copies = (folder: string): string[] =>
  readdirSync(folder).filter((name) => name.startsWith(`${file}.damaged-`))

/** Starts the process of child.ts, behind other words if there are any. */
function start(words: readonly string[], before: readonly string[] = [], environment = {}): ChildProcess {
  const [program = '', ...rest] = [...before, process.execPath, childPath, ...words]
  const env = { ...process.env, ...environment }
  return spawn(program, rest, { stdio: ['ignore', 'pipe', 'inherit'], env })
}

/** What it said until it ended. */
async function saidBy(child: ChildProcess): Promise<string[]> {
  const lines: string[] = []
  const closed = once(child, 'close')
  if (child.stdout) for await (const line of createInterface({ input: child.stdout })) lines.push(line)
  await closed
  return lines
}

const keptIn = (said: readonly string[]): string[] =>
  said.filter((line) => line.startsWith('kept ')).map((line) => line.slice(5))

const home = await folderFor(t)
conformance(t, 'nedb', async (place) => new NedbStore(join(home, place), log))

t.test('files are for the owner alone, whatever the umask', async (t) => {
  for (const mask of [0o000, 0o022, 0o077]) {
    const folder = join(await folderFor(t), 'store')
    const before = process.umask(mask)
    try {
      await keep(folder, ['a', 'b'])
      await writeFile(join(folder, file), `${await readFile(join(folder, file), 'utf8')}{"torn`)
      await keep(folder, ['c'])
    } finally {
      process.umask(before)
    }
    t.equal(statSync(folder).mode & 0o777, 0o700)
    t.equal(readdirSync(folder).length, 2, 'the file and the copy of the damaged one')
    for (const name of readdirSync(folder)) t.equal(statSync(join(folder, name)).mode & 0o777, 0o600, name)
  }
})

t.test('a file that ends anywhere in its last two records loads all before them', async (t) => {
  const folder = await folderFor(t)
  await keep(folder, ['a', 'ü', '🦉', 'last', 'very last'])
  const whole = await readFile(join(folder, file))
  const at = (id: string) => whole.indexOf(`{"_id":"${id}"`)
  const [begin, middle] = [at('last'), at('very last')]
  t.ok(begin > 0 && middle > begin)
  let wrong = 0
  for (let end = begin; end < whole.length; end += 1) {
    await rm(folder, { recursive: true })
    await mkdir(folder, { mode: 0o700 })
    await writeFile(join(folder, file), whole.subarray(0, end))
    const expected = [
      'a',
      'ü',
      '🦉',
      ...(end >= middle - 1 ? ['last'] : []),
      ...(end >= whole.length - 1 ? ['very last'] : []),
    ]
    const torn = ![begin, middle - 1, middle, whole.length - 1].includes(end)
    const ended = await within(folder, async (papers, store) => {
      await papers.insert({ id: 'next' })
      return { found: (await papers.find({})).map(({ id }) => id), repairs: store.status().repairs }
    })
    const kept = copies(folder)
    const well =
      JSON.stringify(ended.found.toSorted()) === JSON.stringify([...expected, 'next'].toSorted()) &&
      ended.repairs.length === (torn ? 1 : 0) &&
      kept.length === (torn ? 1 : 0) &&
      kept.every((name) =>
        readFileSync(join(folder, name)).equals(whole.subarray(end > middle ? middle : begin, end)),
      ) &&
      (await idsIn(folder)).length === expected.length + 1
    if (!well) {
      wrong += 1
      t.same({ ...ended, kept }, { expected, torn }, `cut at byte ${end} of ${whole.length}`)
    }
  }
  t.equal(wrong, 0, `${whole.length - begin} cuts`)
})

t.test('damage is taken out, told of, and a copy of the file as it was is kept', async (t) => {
  const record = (id: string, rev = 1) =>
    JSON.stringify(
      keptOf({ key: id, rev, version: 1, indexed: {}, body: JSON.stringify({ id, name: `${id}${rev}` }) }),
    )
  const good = ['a', 'b', 'c'].map((id) => `${record(id)}\n`)
  const [a = '', b = '', c = ''] = good
  const cases: [string, string | Buffer, string[], RegExp?][] = [
    [
      'garbage lines in the middle',
      `${a}garbage\n{"x":1}\n[]\nnull\n${b}${c}`,
      ['a', 'b', 'c'],
      /4 damaged lines/,
    ],
    ['half a record in the middle', `${a}${b.slice(0, 30)}\n${c}`, ['a', 'c'], /1 damaged lines/],
    ['two records run together', `${a}${b.trimEnd()}${c}`, ['a'], /torn end/],
    ['a tail full of NUL', Buffer.concat([Buffer.from(a + b), Buffer.alloc(5000)]), ['a', 'b'], /torn end/],
    ['NUL in the middle', `${a}${'\0'.repeat(500)}\n${b}`, ['a', 'b'], /damaged lines/],
    [
      'bytes that are no UTF-8',
      Buffer.concat([Buffer.from(a), Buffer.from([0xff, 0xfe, 10]), Buffer.from(b)]),
      ['a', 'b'],
      /damaged/,
    ],
    ['a flipped bit in a document', `${a}${b.replace('b1', 'b3')}${c}`, ['a', 'c'], /1 damaged lines/],
    ['a flipped bit in the last document', `${a}${b.replace('b1', 'b3')}`, ['a'], /torn end/],
    ['nothing but garbage', 'garbage', [], /torn end/],
    ['nothing but NUL', Buffer.alloc(4096), [], /torn end/],
    ['lines that stand there twice', `${a}${b}${a}${b}${c}${c}`, ['a', 'b', 'c']],
    ['empty lines', `\n\n${a}\n${b}\n\n`, ['a', 'b']],
    ['line ends of another system', `${a.trimEnd()}\r\n${b.trimEnd()}\r\n`, ['a', 'b']],
    ['0 bytes', '', []],
  ]
  for (const [title, content, expected, repair] of cases) {
    const folder = await folderFor(t)
    await writeFile(join(folder, file), content)
    await within(folder, async (papers, store) => {
      t.same(
        (await papers.find({})).map(({ id }) => id),
        expected,
        title,
      )
      const { repairs } = store.status()
      t.equal(repairs.length, repair === undefined ? 0 : 1, `${title}: said in the status`)
      if (repair !== undefined) t.match(repairs[0], repair)
    })
    const kept = copies(folder)
    t.equal(kept.length, repair === undefined ? 0 : 1, `${title}: a copy`)
    const whole = Buffer.from(content)
    for (const name of kept) {
      const copy = readFileSync(join(folder, name))
      t.ok(copy.equals(whole.at(-1) === 10 ? whole : whole.subarray(-copy.length)))
    }
    t.same(await idsIn(folder), expected, `${title}: sound from then on`)
  }
  t.test('the newest line of a document counts', async (t) => {
    const folder = await folderFor(t)
    await writeFile(
      join(folder, file),
      `${record('a', 1)}\n${record('a', 3)}\n{"$$deleted":true,"_id":"b"}\n`,
    )
    t.match(await within(folder, (papers) => papers.find({})), [{ id: 'a', name: 'a3', rev: 3 }])
  })
})

t.test(
  'each state that a crash can leave between write, sync and rename opens with all there is',
  async (t) => {
    const whole = await folderFor(t)
    await keep(whole, ['a', 'b', 'c'])
    const fresh = await readFile(join(whole, file))
    const cases: [string, Record<string, Buffer | string>][] = [
      ['a copy begun beside the file', { [file]: fresh, [`${file}~`]: fresh.subarray(0, 40) }],
      ['an empty copy beside the file', { [file]: fresh, [`${file}~`]: '' }],
      ['a whole copy that was not renamed', { [file]: fresh, [`${file}~`]: fresh }],
      [
        'an old copy from who knows when',
        { [file]: fresh, [`${file}~`]: '{"_id":"old","rev":1,"v":1,"i":{},"doc":"{}"}\n' },
      ],
      ['only the copy', { [`${file}~`]: fresh }],
      ['only the copy, with a torn end', { [`${file}~`]: Buffer.concat([fresh, Buffer.from('{"_id":"d')]) }],
      [
        'a repair that broke off',
        {
          [file]: Buffer.concat([fresh, Buffer.from('{"_id":"d')]),
          [`${file}.repairing`]: fresh.subarray(0, 40),
        },
      ],
      [
        'a repair of the middle that broke off',
        { [file]: Buffer.concat([Buffer.from('x\n'), fresh]), [`${file}.repairing`]: 'x' },
      ],
      ['a trial for room that broke off', { [file]: fresh, '.room': Buffer.alloc(1000) }],
    ]
    for (const [title, files] of cases) {
      const folder = await folderFor(t)
      for (const [name, content] of Object.entries(files)) await writeFile(join(folder, name), content)
      t.same(await idsIn(folder), ['a', 'b', 'c'], title)
      t.notOk(existsSync(join(folder, `${file}~`)), `${title}: nothing is left over`)
      await keep(folder, ['d'])
      t.same(await idsIn(folder), ['a', 'b', 'c', 'd'], `${title}: writes go on`)
    }
  },
)

t.test('what cannot be loaded is left alone, with a hint', async (t) => {
  const folder = await folderFor(t)
  await mkdir(join(folder, file))
  await t.rejects(idsIn(folder), { code: 'STORE_UNREADABLE', hint: /restore a copy/ })
  t.same(readdirSync(folder), [file])
})

t.test('an open that fails keeps no file open', async (t) => {
  const folder = await folderFor(t)
  await keep(folder, ['a'])
  const store = new NedbStore(folder, log)
  const broken = { ...spec, version: 2, migrations: { 2: () => ({}) } }
  await t.rejects(store.open('test/papers', broken), { code: 'STORE_INVALID' })
  const opened = spawnSync(
    'readlink',
    readdirSync('/proc/self/fd').map((fd) => `/proc/${process.pid}/fd/${fd}`),
  )
  t.notMatch(opened.stdout.toString(), folder)
  await store.close()
})

t.test('killed ten times in the middle of its work, it has everything it acknowledged', async (t) => {
  const folder = await folderFor(t)
  const kept: string[] = []
  const revs = new Map<string, number>()
  const random = seededRandom(seed)
  for (let round = 0; round < 10; round += 1) {
    const prefix = `r${round}`
    const child = start(['forever', folder, prefix])
    let heard = 0
    const dies = 20 + Math.floor(random() * 300)
    child.stdout?.on('data', (bytes: Buffer) => {
      heard += bytes.toString().split('\n').length - 1
      if (heard > dies) child.kill('SIGKILL')
    })
    const said = await saidBy(child)
    kept.push(...keptIn(said))
    for (const line of said) if (line.startsWith('rev ')) revs.set(`${prefix}-large`, Number(line.slice(4)))
  }
  await within(folder, async (papers, store) => {
    const missing = []
    for (const id of kept) if ((await papers.get(id)) === undefined) missing.push(id)
    t.same(missing, [], `${kept.length} documents were acknowledged`)
    for (const [id, rev] of revs) {
      const found = await papers.get(id)
      t.ok(
        found !== undefined && found.rev >= rev,
        `${id} is at revision ${found?.rev}, ${rev} was acknowledged`,
      )
    }
    t.same(
      store.status().repairs.filter((repair) => !/torn end/.test(repair)),
      [],
    )
  })
})

t.test('the file is made small again while it is written, and nothing is lost on the way', async (t) => {
  const folder = await folderFor(t)
  const body = 'x'.repeat(20_000)
  const lanes = 24
  const acknowledged = new Map<string, number>()
  const largest = await within(folder, async (papers) => {
    let most = 0
    let fell = 0
    let before = 0
    const lane = async (number: number) => {
      const id = `lane${number}`
      await papers.insert({ id })
      for (let rev = 1; rev <= 60; rev += 1) {
        await papers.update(id, rev, { text: body })
        acknowledged.set(id, rev + 1)
        const extra = `${id}-${rev}`
        await papers.insert({ id: extra })
        acknowledged.set(extra, 1)
        if (rev % 2 === 0) {
          await papers.remove(`${id}-${rev - 1}`)
          acknowledged.delete(`${id}-${rev - 1}`)
        }
        const { size } = statSync(join(folder, file))
        if (size < before) fell += 1
        before = size
        most = Math.max(most, size)
      }
    }
    await Promise.all(Array.from({ length: lanes }, (_, number) => lane(number)))
    t.ok(fell >= 3, `it shrank ${fell} times`)
    return most
  })
  t.ok(largest < 8 << 20, `${lanes * 60 * body.length} bytes of documents, at most ${largest} in the file`)
  await within(folder, async (papers) => {
    const found = new Map((await papers.find({}, { limit: 10_000 })).map(({ id, rev }) => [id, rev]))
    t.same([...found].toSorted(), [...acknowledged].toSorted())
  })
})

const strace = (out: string, ...options: string[]) => [
  'strace',
  '-f',
  '-qq',
  '-s',
  '60',
  '-y',
  '-o',
  out,
  ...options,
]

t.test('a document is synced before anybody is told that it is kept', async (t) => {
  if (!needs(t, 'strace', 'strace')) return
  const folder = await folderFor(t)
  const trace = join(folder, 'trace')
  const words = ['sequence', join(folder, 'store'), 'k', '20']
  const said = await saidBy(start(words, strace(trace, '-e', 'trace=fdatasync,write,pwrite64')))
  t.equal(keptIn(said).length, 20)
  let synced = 0
  let told = 0
  for (const line of (await readFile(trace, 'utf8')).split('\n')) {
    if (/fdatasync.*= 0$/.test(line)) synced += 1
    if (!/write\(1<.*"kept k/.test(line)) continue
    told += 1
    if (synced < told) t.fail(`document ${told} was told of after ${synced} syncs`)
  }
  t.equal(told, 20)
})

t.test('two hundred documents at once share their syncs', async (t) => {
  if (!needs(t, 'strace', 'strace')) return
  const folder = await folderFor(t)
  const trace = join(folder, 'trace')
  const said = await saidBy(
    start(['crowd', join(folder, 'store'), 'k', '200'], strace(trace, '-e', 'trace=fdatasync')),
  )
  t.equal(keptIn(said).length, 200)
  const syncs = (await readFile(trace, 'utf8')).split('\n').filter((line) => / fdatasync\(/.test(line))
  t.ok(syncs.length >= 1 && syncs.length <= 40, `${syncs.length} syncs`)
})

t.test('when a sync fails nothing more is acknowledged, and what was kept can be read', async (t) => {
  if (!needs(t, 'strace', 'strace')) return
  const cases = [
    [1, 'the first insert'],
    [2, 'an insert'],
    [3, 'an update'],
    [4, 'a later insert'],
  ] as const
  const failing = cases.map(async ([nth, title]) => {
    const folder = await folderFor(t)
    // strace counts for each thread: there is one.
    const inject = ['-e', 'trace=fdatasync', '-e', `inject=fdatasync:error=EIO:when=${nth}`]
    const child = start(['failing', folder], strace(join(folder, 'trace'), ...inject), {
      UV_THREADPOOL_SIZE: '1',
    })
    const said = await saidBy(child)
    const steps = ['kept first', 'kept second', 'kept change', 'kept third']
    const refused = ['refused first', 'refused second', 'refused change', 'refused third']
    const answers = steps.map((step, at) => (at < nth - 1 ? step : `${refused[at]} STORE_READ_ONLY`))
    const expected = [[], ['first@1'], ['first@1', 'second@1'], ['first@1', 'second@2']][nth - 1] ?? []
    t.same(
      said,
      [
        'open',
        ...answers,
        `found ${expected.join(' ')}`,
        `count ${expected.length}`,
        'third undefined',
        'refused fourth STORE_READ_ONLY',
        'status read-only',
      ],
      `EIO in ${title}`,
    )
    await within(folder, async (papers) => {
      const found = await papers.find({})
      for (const one of expected) {
        const [id, rev] = one.split('@')
        const there = found.find((doc) => doc.id === id)
        t.ok(there !== undefined && there.rev >= Number(rev), `${one} is there after a restart`)
      }
      await papers.insert({ id: 'after' })
    })
  })
  await Promise.all(failing)
})

/** A small disk, where this user may have one. */
async function smallDisk(t: Test, size = '1m'): Promise<string | undefined> {
  const folder = await folderFor(t)
  const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', `size=${size},mode=700`, 'tmpfs', folder])
  if (mounted.status === 0) {
    t.teardown(() => void spawnSync('umount', ['--lazy', folder]))
    return folder
  }
  const reason = 'only root can mount a small disk'
  if (process.getuid?.() === 0 && process.env.CI === 'true') t.fail(`mount: ${mounted.stderr}`)
  else t.pass('needs a small disk', { skip: reason })
  return undefined
}

async function until(t: Test, what: string, check: () => Promise<boolean>): Promise<void> {
  for (let tries = 0; tries < 150; tries += 1) {
    if (await check()) return
    await sleep(100)
  }
  t.fail(`never: ${what}`)
}

t.test('a full disk refuses new documents, serves the old ones, and takes up again by itself', async (t) => {
  const folder = await smallDisk(t)
  if (folder === undefined) return
  const ballast = join(folder, 'ballast')
  await writeFile(ballast, Buffer.alloc(700_000, 1))
  const data = join(folder, 'store')
  const kept = new Map<string, number>()
  await within(data, async (papers, store) => {
    const lost: string[] = []
    let failure: unknown
    for (let n = 0; failure === undefined && n < 1000; n += 8) {
      const ids = Array.from({ length: 8 }, (_, lane) => `k${n + lane}`)
      const text = 'y'.repeat(700 + n)
      const ended = await Promise.allSettled(ids.map((id) => papers.insert({ id, text, name: 'n' })))
      for (const [at, one] of ended.entries()) {
        const id = ids[at] ?? ''
        if (one.status === 'fulfilled') kept.set(id, 1)
        else {
          lost.push(id)
          failure = one.reason
        }
      }
    }
    t.match(failure, { code: 'STORE_READ_ONLY', hint: /make room/ })
    t.ok(kept.size > 50, `${kept.size} documents found room`)
    t.match(store.status().readOnly, /ENOSPC/)

    await until(t, 'the failed documents are forgotten', async () => {
      const found = await Promise.allSettled(lost.map((id) => papers.get(id)))
      return found.every((one) => one.status === 'fulfilled' && one.value === undefined)
    })
    for (const id of kept.keys()) if ((await papers.get(id)) === undefined) t.fail(`${id} is not served`)
    t.equal((await papers.find({}, { limit: 5000 })).length, kept.size, 'a listing shows what was kept')
    t.equal(await papers.count({ name: 'n' }), kept.size)
    for (let tries = 0; tries < 30; tries += 1) {
      await t.rejects(papers.update('k0', 1, { name: 'changed' }), { code: 'STORE_READ_ONLY' })
      t.match(await papers.get('k1'), { id: 'k1', rev: 1 })
      await sleep(50)
    }
    t.match(await papers.get('k0'), { name: 'n', rev: 1 }, 'a refused change leaves no trace')

    await rm(ballast)
    await until(t, 'it accepts documents again', () =>
      papers.insert({ id: 'again' }).then(
        () => true,
        () => false,
      ),
    )
    kept.set('again', 1)
    t.equal(store.status().readOnly, undefined)
    await papers.update('k0', 1, { name: 'changed' })
    kept.set('k0', 2)
    await papers.insert({ id: lost[0] ?? 'lost' })
    kept.set(lost[0] ?? 'lost', 1)
  })
  await within(data, async (papers, store) => {
    const found = (await papers.find({}, { limit: 5000 })).map(({ id, rev }) => [id, rev])
    t.same(
      found.toSorted(),
      [...kept].toSorted(),
      'after a restart: all that was acknowledged, and nothing else',
    )
    t.same(store.status().repairs, [], 'nothing had to be repaired')
  })
})

t.test('a disk that is full when the store opens keeps nobody from what is on it', async (t) => {
  const folder = await smallDisk(t)
  if (folder === undefined) return
  const source = await folderFor(t)
  await within(source, async (papers) => {
    for (let n = 0; n < 100; n += 1) await papers.insert({ id: `k${n}`, text: 'z'.repeat(3000) })
  })
  const sound = await readFile(join(source, file))
  await writeFile(join(folder, file), sound)
  await writeFile(join(folder, 'ballast'), Buffer.alloc(2 << 20)).catch(() => undefined)
  t.equal((await idsIn(folder)).length, 100, 'a sound file is read without any room')
  await writeFile(join(folder, file), sound.subarray(0, -5))
  t.equal(
    (await idsIn(folder)).length,
    99,
    'so is one with a torn end, of which nobody was told that it is kept',
  )
  for (const [title, content] of [
    ['a file with a damaged last line', Buffer.concat([sound, Buffer.from('{"_id":"torn\n')])],
    ['a file damaged within', Buffer.concat([Buffer.from('garbage\n'), sound])],
  ] as const) {
    for (const name of readdirSync(folder)) await rm(join(folder, name))
    await writeFile(join(folder, file), content)
    await writeFile(join(folder, 'ballast'), Buffer.alloc(2 << 20)).catch(() => undefined)
    await t.rejects(idsIn(folder), { code: 'STORE_UNREADABLE', hint: /make room/ }, title)
    t.ok((await readFile(join(folder, file))).equals(content), `${title} is unharmed`)
    t.same(readdirSync(folder).toSorted(), ['ballast', file], `${title}: no half copies take the last room`)
    await rm(join(folder, 'ballast'))
    t.equal((await idsIn(folder)).length, 100, `${title}, once there is room`)
  }
})

t.test('a file that finds no room to be made small goes on as it is', async (t) => {
  const folder = await smallDisk(t, '12m')
  if (folder === undefined) return
  await writeFile(join(folder, 'ballast'), Buffer.alloc(6 << 20, 1))
  const data = join(folder, 'store')
  const kept = new Map<string, number>()
  const text = 'w'.repeat(500_000)
  await within(data, async (papers, store) => {
    const keep = async (id: string) => {
      const rev = kept.get(id)
      await (rev === undefined ? papers.insert({ id, text }) : papers.update(id, rev, { text }))
      kept.set(id, (rev ?? 0) + 1)
    }
    // 2.5 MB of documents, of which a copy has no room once the file has 4 MiB.
    const fill = Array.from({ length: 9 }, (_, n) => `k${n % 5}`)
    for (const id of fill) await keep(id)
    await until(t, 'small documents are accepted', () =>
      keep('small').then(
        () => store.status().readOnly === undefined,
        () => false,
      ),
    )
    t.ok(statSync(join(data, file)).size > 4 << 20, 'the file is as large as it was')
    t.notOk(existsSync(join(data, `${file}~`)), 'half a copy does not take the last room')
    for (const [id, rev] of kept) t.equal((await papers.get(id))?.rev, rev, id)
  })
  await rm(join(folder, 'ballast'))
  await within(data, async (papers) => {
    for (const [id, rev] of kept) t.equal((await papers.get(id))?.rev, rev, `${id}, reopened`)
  })
})
