import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdir, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { upgrade } from '../../../sugaroid/index.js'
import { until } from '../../support/core/server-process.js'
import { needs } from '../../support/needs.js'
import { rounds } from '../../support/rounds.js'
import { temporaryDirectory } from '../../support/temporary-directory.js'
import {
  differences,
  equipped,
  later,
  packedTree,
  schoolServer,
  systemTree,
} from '../../support/upgrade/upgrade-server.js'
import { md5, send, upstream } from '../../support/upgrade/upstream.js'

t.setTimeout(300_000)

const at = '/885-tree.tar.bz2'

t.test('a build that was not there when a client connected is served on that connection', async (t) => {
  if (!equipped(t)) return
  const tree = await systemTree(t)
  const from = await upstream(t, await packedTree(t, '885', tree))
  const school = await schoolServer(t, `${from.url}/{name}`)
  const to = await temporaryDirectory(t)
  t.notMatch((await school.rsync('::')).out, 'build-885')
  const { code, err } = await school.rsync('-aH', '--fake-super', '::build-885/', `${to}/`)
  t.equal(code, 0, err)
  t.same(await readdir(to), ['contents', 'root'])
  t.equal(await readFile(join(to, 'contents'), 'utf8'), '{"build":"885"}\n')
  if (process.getuid?.() === 0) t.equal(differences(school.port, 'build-885', tree), '')
  t.match((await school.rsync('::')).out, /^build-885\s/m)
  t.match(JSON.parse((await school.upgrade('list', '--json')).out), [
    { name: '885', state: 'here', source: `${from.url}/{name}` },
  ])
  t.equal(from.count('GET', at), 1)
})

t.test('a laptop in software upgrades itself to a build that nobody had fetched before', async (t) => {
  if (!equipped(t)) return
  const tree = await systemTree(t)
  const from = await upstream(t, await packedTree(t, '885', tree))
  const school = await schoolServer(t, `${from.url}/{name}`)
  const server = { host: '127.0.0.1', port: school.port }
  const to = join(await temporaryDirectory(t), '885')
  t.match(await upgrade('885', { server, to }), { outcome: 'upgraded', isListed: false })
  t.match(await upgrade('885', { server, to }), { outcome: 'upgraded', isListed: true })
  t.match(await upgrade('602', { server, to }), {
    outcome: 'busy',
    said: 'build-602 is not here, and at none of the sources; try again in 10 minutes',
  })
  const args = ['-aHn', '--delete', '--checksum', '--itemize-changes', `${to}/root/`, `${tree}/`]
  t.equal((await school.rsync(...args)).out, '')
})

t.test('three clients wait on one download, and each gets the build', async (t) => {
  if (!equipped(t)) return
  const files = await packedTree(t, '885', await systemTree(t))
  const { bytes } = files[at] ?? { bytes: Buffer.alloc(0) }
  let open = () => undefined as unknown
  const gate = new Promise((resolve) => {
    open = () => resolve(undefined)
  })
  files[at] = { bytes, get: (request, response) => void gate.then(() => send(request, response, { bytes })) }
  const from = await upstream(t, files)
  const school = await schoolServer(t, `${from.url}/{name}`)
  const pulls = await Promise.all(
    [1, 2, 3].map(async () => {
      const to = await temporaryDirectory(t)
      return { to, ended: school.rsync('-a', '::build-885/contents', `${to}/`) }
    }),
  )
  const gone = school.rsync('--timeout=1', '::build-885/')
  await until(async () => {
    const { reports } = await school.status()
    const { under = [] } = (reports?.upgrade?.facts ?? {}) as { under?: { waiting: number }[] }
    return under[0]?.waiting === 4 || under[0]?.waiting === 3
  }, 'three clients that wait')
  t.not((await gone).code, 0, 'one that gives up')
  open()
  for (const { to, ended } of pulls) {
    t.match(await ended, { code: 0 })
    t.same(await readdir(to), ['contents'])
  }
  t.equal(from.count('GET', at), 1)
})

t.test('what cannot be served is said in words that the user of the laptop reads', async (t) => {
  if (!equipped(t)) return
  const files = await packedTree(t, '885', await systemTree(t))
  files[`${at}.md5`] = { bytes: Buffer.from(`${md5('other')}  885-tree.tar.bz2\n`) }
  const hanging = await packedTree(t, '602', await systemTree(t))
  const from = await upstream(t, { ...files, ...hanging })
  from.files.set('/602-tree.tar.bz2', {
    bytes: Buffer.alloc(1000),
    get(_, response) {
      response.writeHead(200, { 'Content-Length': 1000 })
      response.write(Buffer.alloc(410))
    },
  })
  const school = await schoolServer(t, `${from.url}/{name}`, ['--upgrade-hold-seconds', '1'])
  t.match(await school.rsync('::build-885/'), {
    code: 5,
    err: /^@ERROR: build-885 could not be fetched: .* not what its md5 sum says.*; tell whoever looks after the server$/m,
  })
  t.match(await school.rsync('::build-13/'), {
    code: 5,
    err: /^@ERROR: build-13 is not here, and at none of the sources; try again in 10 minutes$/m,
  })
  t.match(await school.rsync('::build-602/'), {
    code: 5,
    err: /^@ERROR: build-602 is being fetched \(41 %\); try again in about [0-9]+ minutes?$/m,
  })
  for (const name of ['build-', 'build-a b', 'build-..', `build-${'x'.repeat(65)}`])
    t.match(await school.rsync(`::${name}/`), { code: 5, err: /^@ERROR: / }, name)
  t.notMatch((await school.rsync('::')).out, 'build-')
  t.same((await readdir(join(school.root, 'rsync', 'pub', 'builds'))).sort(), [])
})

t.test('one school server fetches a build from another, and serves it as that one does', async (t) => {
  if (!equipped(t)) return
  const tree = await systemTree(t)
  const from = await upstream(t, await packedTree(t, '885', tree))
  const capital = await schoolServer(t, `${from.url}/{name}`)
  const village = await schoolServer(t, `rsync://127.0.0.1:${capital.port}/`)
  t.match(await village.rsync('::build-885/'), { code: 5, err: /at none of the sources/ })
  t.match(await capital.upgrade('fetch', '885'), { code: 0, out: /build-885 is here/ })
  t.match(await village.upgrade('fetch', '885'), { code: 0, out: /build-885 is here/ })
  if (process.getuid?.() === 0) t.equal(differences(village.port, 'build-885', tree), '')
  t.match(JSON.parse((await village.upgrade('list', '--json')).out), [
    { source: `rsync://127.0.0.1:${capital.port}/` },
  ])
  await village.upgrade('stick', '885')
  t.match(await village.command('rsync', 'withdraw', '885'), {
    code: 77,
    err: /build-885 stays: it is sticky \("upgrade unstick" ends that\)/,
  })
  await village.upgrade('unstick', '885')
  t.match(await village.command('rsync', 'withdraw', '885'), { code: 0, out: /885 is removed/ })
})

t.test('the right builds go: by when they were really fetched, and never those in use', async (t) => {
  if (!equipped(t) || !needs(t, 'faketime', 'faketime')) return
  const names = ['a', 'b', 'c', 'd', 'e']
  const files = await Promise.all(
    names.map(async (name) => packedTree(t, name, await systemTree(t, name === 'e' ? 30_000 : 200_000))),
  )
  const from = await upstream(t, Object.assign({}, ...files))
  const source = `${from.url}/{name}`
  const first = await schoolServer(t, source, ['--upgrade-limit', '3'])
  const pull = async (school: typeof first, name: string) => {
    const { code, err } = await school.rsync(
      '-a',
      '--fake-super',
      `::build-${name}/`,
      `${await temporaryDirectory(t)}/`,
    )
    t.equal(code, 0, `${name} ${err}`)
  }
  for (const name of ['a', 'b', 'c', 'd']) await pull(first, name)
  await pull(first, 'c')
  const { code } = await first.rsync('-a', '--fake-super', '::builds/a', await temporaryDirectory(t))
  t.equal(code, 0, 'another laptop fetches from the module of all builds')
  t.match(await first.upgrade('stick', 'd'), { code: 0 })
  t.match((await first.upgrade('gc', '--dry-run')).out, /^a .*keep +it was asked for 0 minutes ago$/m)
  await first.stop()
  // An hour later, and with less room.
  const school = await schoolServer(t, source, ['--upgrade-limit', '1'], { root: first.root, env: later(60) })
  const order = JSON.parse((await school.upgrade('gc', '--dry-run', '--json')).out) as { name: string }[]
  t.same(
    order.map(({ name }) => name),
    ['b', 'd', 'c', 'a'],
  )
  const address = `rsync://127.0.0.1:${school.port}/build-b/`
  const slow = spawn('rsync', ['-a', '--bwlimit=50', address, `${await temporaryDirectory(t)}/`])
  t.teardown(() => slow.kill('SIGKILL'))
  const slowly = once(slow, 'close')
  await until(async () => {
    const { out } = await school.upgrade('gc', '--dry-run')
    return /^b .*keep +(127\.0\.0\.1 is fetching build-b|it was asked for)/m.test(out)
  }, 'a client that fetches')
  // It does not come to its end before all is seen.
  slow.kill('SIGSTOP')
  t.match(await school.upgrade('remove', 'b'), { code: 77, err: /127\.0\.0\.1 is fetching build-b/ })
  await pull(school, 'e')
  const here = JSON.parse((await school.upgrade('list', '--json')).out) as { name: string }[]
  t.same(
    here.map(({ name }) => name),
    ['a', 'b', 'd', 'e'],
    'c was the one that nobody had fetched for the longest',
  )
  const gone = school.log().filter(({ msg, build }) => build === 'c' && /remove/.test(msg))
  const reason = /upgrade-limit.*last used/
  t.match(gone, [{ plugin: 'rsync', msg: /^removed build-c: .*last used/, bytes: Number, reason }])
  t.equal(gone.length, 1, 'and the log says why, once')
  slow.kill('SIGCONT')
  t.same(await slowly, [0, null])
  await until(
    async () => `${(await readdir(join(school.root, 'rsync', 'pub', 'builds'))).sort()}` === 'a,b,d,e',
    'c',
  )
})

t.test(
  'of builds that were lost with their disk, an operator has those forgotten that are not sticky',
  async (t) => {
    if (!equipped(t)) return
    const names = ['a', 'b']
    const files = await Promise.all(names.map(async (name) => packedTree(t, name, await systemTree(t))))
    const source = `${(await upstream(t, Object.assign({}, ...files))).url}/{name}`
    const first = await schoolServer(t, source)
    for (const name of names) t.match(await first.upgrade('fetch', name), { code: 0 })
    t.match(await first.upgrade('stick', 'b'), { code: 0 })
    await first.stop()
    for (const name of names) await rm(join(first.root, 'rsync', 'pub', 'builds', name), { recursive: true })

    const school = await schoolServer(t, source, [], { root: first.root })
    t.match(await school.upgrade('remove', 'a'), { code: 0, out: /build-a is forgotten: it was missing/ })
    t.match(await school.upgrade('remove', 'a'), { code: 66 })
    t.match(await school.upgrade('remove', 'b'), { code: 77, err: /it is sticky/ })
    t.match(await school.upgrade('unstick', 'b'), { code: 0 })
    t.match(await school.upgrade('remove', 'b'), { code: 0 })
    t.match((await school.status()).phase, 'ready')
    t.match(await school.upgrade('fetch', 'a'), { code: 0 }, 'it may come anew')
    t.match(JSON.parse((await school.upgrade('list', '--json')).out), [{ name: 'a', state: 'here' }])
  },
)

t.test('fifty who fetch while builds are removed get theirs whole', async (t) => {
  if (!equipped(t) || !needs(t, 'faketime', 'faketime')) return
  const names = ['a', 'b', 'c']
  const many = rounds(200, 80)
  const packed = await Promise.all(
    names.map(async (name) => packedTree(t, name, await systemTree(t, 700_000, many))),
  )
  const from = await upstream(t, Object.assign({}, ...packed))
  const source = `${from.url}/{name}`
  const first = await schoolServer(t, source)
  for (const name of names) await first.upgrade('fetch', name)
  await first.stop()
  const more = ['--upgrade-limit', '1', '--rsync-connections-each', '60']
  const school = await schoolServer(t, source, more, { root: first.root, env: later(60) })
  const pulls = Array.from({ length: 50 }, async () => {
    const to = await temporaryDirectory(t)
    const { code, err } = await school.rsync('-a', '--fake-super', '::build-b/', `${to}/`)
    return { code, err, files: (await readdir(join(to, 'root', 'bin')).catch(() => [])).length }
  })
  for (let round = 0; round < 5; round += 1) await school.upgrade('gc')
  const ended = await Promise.all(pulls)
  t.same(
    ended.filter(({ code, files }) => code !== 0 || files !== many + 2),
    [],
  )
  await school.upgrade('gc')
  const here = JSON.parse((await school.upgrade('list', '--json')).out) as { name: string }[]
  t.same(
    here.map(({ name }) => name),
    ['b'],
    'the others went meanwhile',
  )
})
