import { randomBytes } from 'node:crypto'
import { mkdir, readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { RequestError, SystemError } from '../../../core/api.js'
import { boot, type TestHouse } from '../../../core/testing.js'
import { Failures } from '../../../plugins/upgrade/fetch/failures.js'
import upgrade from '../../../plugins/upgrade/plugin.js'
import { until } from '../../system/server.js'
import { contentsOf, facts, type StandIn, standIn, temporaryDirectory, treeOf } from './stand-in.js'
import { type File, md5, packed, send, type Upstream, upstream } from './upstream.js'

const tree = randomBytes(300_000)
const at = '/885-tree.tar.bz2'

interface School {
  house: TestHouse
  rsync: StandIn
  from: Upstream
}

async function school(
  t: Test,
  files: Record<string, File> = packed('885', tree),
  settings: Record<string, string> = {},
): Promise<School> {
  const from = await upstream(t, files)
  const rsync = await standIn(t)
  const house = await boot({
    plugins: [rsync.plugin, upgrade],
    settings: { 'upgrade-sources': `${from.url}/{name}`, 'upgrade-keep-free': '0', ...settings },
  })
  t.teardown(() => house.dispose())
  return { house, rsync, from }
}

/** A file that is not sent before it is let go. */
function gated(bytes: Buffer): { file: Partial<File>; open: () => void } {
  let open = () => undefined as unknown
  const gate = new Promise((resolve) => {
    open = () => resolve(undefined)
  })
  return {
    file: { get: (request, response) => void gate.then(() => send(request, response, { bytes })) },
    open,
  }
}

t.test('a build that a laptop asks for is there when it has been fetched', async (t) => {
  const { house, rsync, from } = await school(t)
  t.equal(await rsync.ask('build-885'), true)
  const build = rsync.builds.get('885')
  t.match(build, { from: 'upgrade' })
  if (build === undefined) return
  t.ok((await treeOf(build)).equals(tree))
  t.equal(await contentsOf(build), '{"name":"885"}\n')
  t.same(await readdir(join(house.root, 'upgrade', 'downloads')), [], 'nothing of it is left')
  t.equal(await rsync.ask('build-885'), true)
  t.equal(from.count('GET', at), 1)
})

t.test('three hundred laptops that ask for one build cause one download', async (t) => {
  const { file, open } = gated(tree)
  const { house, rsync, from } = await school(t, packed('885', tree, file))
  const asked = Array.from({ length: 300 }, () => rsync.ask('build-885'))
  await until(() => from.count('GET', at) === 1, 'the download')
  t.match(await facts(house), { under: [{ name: '885', stage: 'reading', waiting: 300 }] })
  open()
  t.ok((await Promise.all(asked)).every((there) => there))
  t.equal(from.count('GET', at), 1)
  t.equal(from.requests.filter((one) => one.startsWith('HEAD')).length, 4)
  t.equal(rsync.installed.length, 1)
})

t.test('three hundred laptops that ask for what nobody has cause one question', async (t) => {
  const { rsync, from } = await school(t)
  const asked = await Promise.allSettled(Array.from({ length: 300 }, () => rsync.ask('build-602')))
  const words = 'build-602 is not here, and at none of the sources; try again in 10 minutes'
  t.ok(asked.every((one) => one.status === 'rejected' && one.reason.message === words))
  t.equal(from.requests.length, 6)
  await t.rejects(rsync.ask('build-602'), { message: words })
  t.equal(from.requests.length, 6, 'nor do those that come behind')
})

t.test(
  'other names than those of builds, and a school without sources, are none of its business',
  async (t) => {
    const { rsync, from } = await school(t)
    const names = [
      'xo-activities',
      'build-',
      'build-../x',
      'build-.x',
      'build-a b',
      `build-${'x'.repeat(65)}`,
      '',
    ]
    for (const name of [...names, 'build-a\nb', 'BUILD-885', 'builds'])
      t.equal(await rsync.ask(name), false, name)
    t.same(from.requests, [])
    const without = await school(t, {}, { 'upgrade-sources': '' })
    t.equal(await without.rsync.ask('build-885'), false)
    t.match(await without.house.command(['upgrade', 'fetch'], { args: { name: '885' } }), {
      ended: { message: 'no source is set' },
    })
  },
)

t.test('who was held long enough hears how far it is, and finds it there later', async (t) => {
  let finish: (() => void) | undefined
  const files = packed('885', tree, {
    get(_, response) {
      response.writeHead(200, { 'Content-Length': tree.length })
      response.write(tree.subarray(0, 150_000))
      finish = () => response.end(tree.subarray(150_000))
    },
  })
  const { house, rsync } = await school(t, files, { 'upgrade-hold-seconds': '1' })
  await t.rejects(rsync.ask('build-885'), {
    code: 'UNAVAILABLE',
    message: /^build-885 is being fetched \(50 %\); try again in about [0-9]+ minutes?$/,
  })
  t.match(await facts(house), { under: [{ waiting: 0, bytes: 150_000, total: 300_000 }] })
  const { out } = await house.command(['upgrade', 'list'], { json: true })
  t.match(JSON.parse(out), [{ name: '885', state: 'is being fetched (50 %)', bytes: null }])
  finish?.()
  await until(() => rsync.builds.has('885'), 'the build')
  t.equal(await rsync.ask('build-885'), true)
})

t.test('a laptop that hangs up is waited with no more, and the download goes on', async (t) => {
  const { file, open } = gated(tree)
  const { house, rsync, from } = await school(t, packed('885', tree, file))
  const gone = new AbortController()
  const asked = rsync.ask('build-885', { signal: gone.signal })
  const other = rsync.ask('build-885')
  await until(() => from.count('GET', at) === 1, 'the download')
  gone.abort()
  await t.rejects(asked, { message: /is being fetched/ })
  await t.rejects(rsync.ask('build-885', { signal: gone.signal }), { message: /is being fetched/ })
  t.match(await facts(house), { under: [{ waiting: 1 }] })
  open()
  t.equal(await other, true)
})

t.test('two are fetched at a time, and the third waits for its turn', async (t) => {
  const gate = gated(tree)
  const names = ['602', '885', '13.2.0-13']
  const files = Object.assign({}, ...names.map((name) => packed(name, tree, gate.file)))
  const { house, rsync, from } = await school(t, files)
  const asked = names.map((name) => rsync.ask(`build-${name}`))
  const trees = () => from.requests.filter((one) => /^GET .*bz2$/.test(one)).length
  const stages = async () => {
    const { under } = (await facts(house)) as { under: { stage: string }[] }
    return under.map(({ stage }) => stage).sort()
  }
  await until(async () => `${await stages()}` === 'reading,reading,waiting' && trees() === 2, 'two downloads')
  gate.open()
  t.same(await Promise.all(asked), [true, true, true])
  t.equal(trees(), 3)
})

t.test('a failure is told with its reason, remembered, and forgotten by an operator', async (t) => {
  const files = packed('885', tree)
  files[`${at}.md5`] = { bytes: Buffer.from(`${md5('other')}  x\n`) }
  const { house, rsync, from } = await school(t, files)
  const words =
    /^build-885 could not be fetched: .* is not what its md5 sum says.*; try again in (10|9) minutes$/
  await t.rejects(rsync.ask('build-885'), { message: words })
  const before = from.requests.length
  await t.rejects(rsync.ask('build-885'), { message: words })
  t.equal(from.requests.length, before)
  t.match(await facts(house), { failures: [{ name: '885', why: /could not be fetched/ }] })
  t.match((await house.status()).health, [{ what: 'sources', problem: /is not what its md5 sum says/ }])
  t.match((await house.command(['upgrade', 'list'])).out, /885 .*could not be fetched/)
  Object.entries(packed('885', tree)).map(([path, file]) => from.files.set(path, file))
  t.match(await house.command(['upgrade', 'fetch'], { args: { name: '885' } }), {
    ended: { exit: 0 },
    out: /^build-885 is here: 1 files, 300\.0 kB\n$/,
  })
  t.same((await house.status()).health, [])
  t.match(await house.command(['upgrade', 'fetch'], { args: { name: '885' } }), { out: /is here already/ })
})

t.test('a failure is remembered for ten minutes, and a thousand of them', async (t) => {
  const { rsync, from } = await school(t)
  await t.rejects(rsync.ask('build-602'))
  const { now } = Date
  t.teardown(() => {
    Date.now = now
  })
  let later = 0
  Date.now = () => now() + later
  later = 9 * 60_000
  await t.rejects(rsync.ask('build-602'), { message: /try again in 1 minute$/ })
  t.equal(from.requests.length, 6)
  later = 11 * 60_000
  await t.rejects(rsync.ask('build-602'))
  t.equal(from.requests.length, 12)
  const failures = new Failures()
  for (let count = 0; count < 3000; count += 1) failures.note(`${count}`, 'is not here')
  t.equal(failures.all().length, 1000)
  t.ok(failures.get('2999') !== undefined && failures.get('1999') === undefined)
  later = -60 * 60_000
  t.equal(failures.get('2999'), undefined, 'nor longer by a clock that was set back')
})

t.test('the next source is asked when one does not have it, or fails', async (t) => {
  const broken = await upstream(t, {
    '/885-tree.tar.xz': { bytes: tree, head: (_, response) => response.writeHead(500).end() },
  })
  const empty = await temporaryDirectory(t)
  const from = await upstream(t, packed('885', tree))
  const sources = [`${broken.url}/{name}`, empty, `${from.url}/{name}`]
  const { house, rsync } = await school(t, {}, { 'upgrade-sources': sources.join(',') })
  t.equal(await rsync.ask('build-885'), true)
  t.match((await house.status()).health, [{ problem: /answers 500/ }])
  const { contacts } = (await facts(house)) as { contacts: { source: string; fault?: string }[] }
  t.same(
    contacts.map(({ source, fault }) => [source, fault === undefined]),
    [
      [sources[0], false],
      [sources[1], true],
      [sources[2], true],
    ],
  )
  await t.rejects(rsync.ask('build-602'), { message: /not here, and at none of the sources/ })
})

t.test('a build that cannot be unpacked is told with the reason, and not kept', async (t) => {
  const { house, rsync } = await school(t)
  const kept = () => readdir(join(house.root, 'upgrade', 'downloads'))
  const failing = async (error: Error, message: RegExp) => {
    rsync.installing = () => {
      throw error
    }
    await t.rejects(rsync.ask('build-885'), { name: 'RequestError', message })
    await t.rejects(rsync.ask('build-885'), { message })
    t.same(rsync.installed, [])
    return await kept()
  }
  const hostile = new RequestError('REQUEST_INVALID', 'the entry ../x leads out of the tree')
  t.same(await failing(hostile, /could not be fetched: the entry \.\.\/x leads out/), [])
  const again = async (error: Error, message: RegExp) => {
    const other = await school(t)
    other.rsync.installing = () => {
      throw error
    }
    await t.rejects(other.rsync.ask('build-885'), { name: 'RequestError', message })
    t.same(await readdir(join(other.house.root, 'upgrade', 'downloads')), [])
  }
  await again(
    new SystemError('NO_SPACE', 'the disk /x is full', { hint: 'make room' }),
    /disk of the server is full/,
  )
  await again(new TypeError('a fault of ours in /secret/path'), /the server has a fault, which its log tells/)
})

t.test('a directory is a source, and is read as it is', async (t) => {
  const directory = await temporaryDirectory(t)
  const { rsync, house } = await school(t, {}, { 'upgrade-sources': directory })
  await writeFile(join(directory, '885.tree.tar.lzma'), tree)
  const fails = async (message: RegExp) => {
    const { ended } = await house.command(['upgrade', 'fetch'], { args: { name: '885' } })
    t.match(ended, { message })
  }
  await fails(/no checksum beside it/)
  await writeFile(join(directory, '885.tree.tar.lzma.md5'), `${md5('x')}  885.tree.tar.lzma\n`)
  await fails(/no manifest.*885\.toc nor .*885\.contents/)
  await mkdir(join(directory, '885.toc'))
  await fails(/no manifest/)
  await writeFile(join(directory, '885.contents'), 'contents')
  await fails(/not what its md5 sum says/)
  await writeFile(join(directory, '885.tree.tar.lzma.md5'), 'no sum')
  await fails(/holds no md5 sum/)
  await writeFile(join(directory, '885.tree.tar.lzma.md5'), `${md5(tree)}  885.tree.tar.lzma\n`)
  await house.command(['upgrade', 'fetch'], { args: { name: '885' } })
  const build = rsync.builds.get('885')
  t.ok(build !== undefined && (await treeOf(build)).equals(tree))
  t.equal(build && (await contentsOf(build)), 'contents')
  await t.rejects(rsync.ask('build-602'), { message: /at none of the sources/ })
})

t.test('a directory that is not there is a source that fails', async (t) => {
  const { rsync, house } = await school(t, {}, { 'upgrade-sources': '/nonexistent/stick, /etc/passwd' })
  await t.rejects(rsync.ask('build-885'), {
    message: /\/nonexistent\/stick cannot be read \(ENOENT\); \/etc\/passwd is no directory/,
  })
  t.match((await house.status()).health, [{ what: 'sources' }])
})

t.test('a stop tells those who wait, and the next start goes on with what has come', async (t) => {
  const root = await temporaryDirectory(t)
  const from = await upstream(
    t,
    packed('885', tree, {
      get(request, response, times) {
        if (times > 1) return send(request, response, { bytes: tree })
        response.writeHead(200, { ETag: '"a"', 'Content-Length': tree.length })
        response.write(tree.subarray(0, 200_000))
      },
    }),
  )
  const settings = { 'upgrade-sources': `${from.url}/{name}`, 'upgrade-keep-free': '0' }
  const rsync = await standIn(t)
  const house = await boot({ plugins: [rsync.plugin, upgrade], settings, root })
  const asked = rsync.ask('build-885')
  asked.catch(() => undefined)
  await until(async () => {
    const { under = [] } = (await facts(house)) as { under?: { bytes: number }[] }
    return under[0]?.bytes === 200_000
  }, 'most of it')
  await house.dispose()
  await t.rejects(asked, { message: 'the server is stopping; try again in about 10 minutes' })
  from.files.set(at, { bytes: tree, headers: { ETag: '"a"' }, ...{ get: ranged } })
  function ranged(...[request, response]: Parameters<NonNullable<File['get']>>): void {
    const start = Number(/\d+/.exec(request.headers.range ?? '0')?.[0])
    const headers = { ETag: '"a"', 'Content-Range': `bytes ${start}-${tree.length - 1}/${tree.length}` }
    response.writeHead(206, headers).end(tree.subarray(start))
  }
  const next = await standIn(t)
  const again = await boot({ plugins: [next.plugin, upgrade], settings, root })
  t.teardown(() => again.dispose())
  t.equal(await next.ask('build-885'), true)
  t.equal(from.heard.at(-1)?.headers.range, 'bytes=200000-')
})

t.test('what is configured with a password is shown without', async (t) => {
  const { house, rsync, from } = await school(t)
  const url = from.url.replace('http://', 'http://school:SECRET@')
  const other = await school(t, {}, { 'upgrade-sources': `${url}/{name}` })
  await t.rejects(other.rsync.ask('build-602'))
  t.equal(await other.rsync.ask('build-885'), true)
  const said = [
    JSON.stringify([await other.house.status(), await facts(other.house)]),
    (await other.house.command(['upgrade', 'list'])).out,
    (await other.house.command(['upgrade', 'list'], { json: true })).out,
  ].join('')
  t.match(said, from.url)
  t.notMatch(said, 'SECRET')
  t.ok(house && rsync)
})
