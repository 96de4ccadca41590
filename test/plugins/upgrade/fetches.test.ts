import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { boot } from '../../../core/testing.js'
import { fetch } from '../../../plugins/upgrade/commands/fetch.js'
import { Fetch } from '../../../plugins/upgrade/fetch/fetch.js'
import upgrade from '../../../plugins/upgrade/plugin.js'
import { until } from '../../support/core/server-process.js'
import { temporaryDirectory } from '../../support/temporary-directory.js'
import { contentsOf, facts, standIn, treeOf } from '../../support/upgrade/fake-rsync.js'
import { at, school, tree } from '../../support/upgrade/interrupted-fetch.js'
import { type File, packed, send, upstream } from '../../support/upgrade/upstream.js'

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

t.test('an operator who gives up waiting is no longer counted among those who wait', async (t) => {
  const under = new Fetch('885')
  const given = new AbortController()
  const printed: string[] = []
  const service = { builds: (await standIn(t)).shelf, fetch: () => under }
  const call = { print: (line: string) => void printed.push(line), note: () => undefined }
  const ended = fetch(service, { ...call, args: { name: '885' }, signal: given.signal })
  t.equal(under.waiting, 1)
  given.abort()
  await ended
  t.equal(under.waiting, 0)
  t.same(printed, ['build-885 is being looked for, and goes on'])
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

t.test('a name that differs from another in capital letters alone is refused at once', async (t) => {
  const { file, open } = gated(tree)
  const { house, rsync, from } = await school(t, packed('joyride-1', tree, file))
  await rsync.put('Beta', { from: 'rsync' })
  const refused = (wanted: string, there: string) =>
    t.rejects(rsync.ask(`build-${wanted}`), {
      code: 'REFUSED',
      message: `build-${wanted} is not here, and there is build-${there}`,
      hint: `ask for build-${there}: names that differ in capital letters alone are one`,
    })
  await refused('BETA', 'Beta')
  t.same(from.requests, [])
  const asked = rsync.ask('build-joyride-1')
  await until(() => from.count('GET', '/joyride-1-tree.tar.bz2') === 1, 'the download')
  await refused('Joyride-1', 'joyride-1')
  open()
  t.equal(await asked, true)
  await refused('JOYRIDE-1', 'joyride-1')
  t.match(await house.command(['upgrade', 'fetch'], { args: { name: 'Joyride-1' } }), { ended: { exit: 77 } })
  t.equal(rsync.installed.length, 1)
})

t.test('when to come back is said by how fast it comes', (t) => {
  const { now } = performance
  t.teardown(() => {
    performance.now = now
  })
  let at = 1e6
  performance.now = () => at
  const advice = (seconds: number, bytes: number, total?: number): string => {
    at += seconds * 1000
    fetch.progress(bytes, total)
    return fetch.advice
  }
  let fetch = new Fetch('885')
  t.equal(fetch.advice, 'try again in about 1 minute', 'sources answer soon')
  fetch.stage = 'waiting'
  t.equal(fetch.advice, 'try again in a few minutes')
  fetch.read()
  t.equal(fetch.advice, 'try again in a few minutes')
  t.equal(advice(0, 0, 1e6), 'try again in a few minutes', 'nothing has come')
  t.equal(advice(5, 25e4, 1e6), 'try again in about 1 minute', '15 s are left')
  t.equal(advice(600, 25e4, 1e6), 'try again in about 31 minutes', 'nothing came for ten minutes')
  fetch = new Fetch('885')
  fetch.read()
  advice(0, 200e6, 800e6)
  t.equal(advice(60, 300e6, 800e6), 'try again in about 8 minutes', 'five minutes, and it is unpacked then')
  fetch.read()
  t.equal(advice(1, 1e6), 'try again in a few minutes', 'nobody knows how large it is')
  fetch.stage = 'unpacking'
  t.equal(fetch.advice, 'try again in a few minutes')
  fetch = new Fetch('885')
  fetch.read()
  advice(0, 0, 1e12)
  t.equal(advice(3600, 1, 1e12), 'try again in about 1440 minutes', 'a day at most')
  t.end()
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
  const from = await upstream(t, packed('885', tree))
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
})
