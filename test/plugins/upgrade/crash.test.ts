import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { until } from '../../support/core/server-process.js'
import { needs } from '../../support/needs.js'
import { rounds, seed, spread } from '../../support/rounds.js'
import { seededRandom } from '../../support/seeded-random.js'
import { temporaryDirectory } from '../../support/temporary-directory.js'
import { startRsyncDaemon } from '../../support/upgrade/rsync-daemon.js'
import {
  differences,
  equipped,
  later,
  packedTree,
  type SchoolServer,
  schoolServer,
  systemTree,
} from '../../support/upgrade/upgrade-server.js'
import { type Answering, type File, tagOf, type Upstream, upstream } from '../../support/upgrade/upstream.js'

t.setTimeout(600_000)

const at = '/885-tree.tar.bz2'
const random = seededRandom(seed)

/** What lies below a directory; nothing where there is none. */
const within = (...path: string[]): Promise<string[]> => readdir(join(...path)).catch(() => [])

/** Processes that name a path in their command line. */
async function processesOf(path: string): Promise<string[]> {
  const all = (await readdir('/proc')).filter((name) => /^\d+$/.test(name))
  const lines = await Promise.all(all.map((pid) => readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')))
  return all.filter((_, at) => lines[at]?.includes(path))
}

/** Whatever happened: what is listed is whole, and nothing else lies about. */
async function isSound(t: Test, school: SchoolServer, trees: Record<string, string>): Promise<void> {
  const listed = (
    JSON.parse((await school.upgrade('list', '--json')).out) as { name: string; state: string }[]
  )
    .filter(({ state }) => state === 'here')
    .map(({ name }) => name)
  await until(
    async () => (await within(school.root, 'rsync', 'pub', 'builds')).length === listed.length,
    'the shelf',
  )
  for (const name of listed) {
    t.equal((await school.rsync(`::build-${name}/contents`)).code, 0, `${name} has a manifest`)
    if (process.getuid?.() === 0)
      t.equal(differences(school.port, `build-${name}`, trees[name] ?? ''), '', name)
  }
  await until(async () => {
    const left = await within(school.root, 'rsync', 'making')
    return left.filter((name) => !name.startsWith('scratch')).length === 0 && left.length <= 1
  }, 'what is half made to go')
}

async function stocked(
  t: Test,
  name: string,
  size: number,
  files = 3,
): Promise<{ tree: string; files: Record<string, File> }> {
  const tree = await systemTree(t, size, files)
  return { tree, files: await packedTree(t, name, tree) }
}

/** Sends a fifth more of a tree, and then nothing. */
const fifth =
  (bytes: Buffer): Answering =>
  (request, response) => {
    const start = Number(/\d+/.exec(request.headers.range ?? '0')?.[0])
    response.writeHead(start > 0 ? 206 : 200, {
      ETag: tagOf(bytes),
      'Content-Length': bytes.length - start,
      ...(start > 0 && { 'Content-Range': `bytes ${start}-${bytes.length - 1}/${bytes.length}` }),
    })
    response.write(bytes.subarray(start, start + Math.floor(bytes.length / 5)))
  }

const asks = (from: Upstream) => from.heard.filter(({ request }) => request === `GET ${at}`)

t.test('killed while it downloads, the server goes on where it was', async (t) => {
  if (!equipped(t)) return
  const { tree, files } = await stocked(t, '885', 1_000_000)
  const { bytes } = files[at] ?? { bytes: Buffer.alloc(0) }
  const from = await upstream(t, { ...files, [at]: { bytes, get: fifth(bytes) } })
  const source = `${from.url}/{name}`
  let school = await schoolServer(t, source)
  const { root } = school
  for (let round = 0; round < rounds(3, 2); round += 1) {
    const client = school.rsync('::build-885/')
    const before = asks(from).length
    await until(() => asks(from).length > before, 'the download')
    await sleep(random() * 100)
    await school.kill9()
    t.not((await client).code, 0)
    school = await schoolServer(t, source, [], { root })
    await isSound(t, school, { 885: tree })
  }
  from.files.set(at, { bytes })
  t.equal((await school.rsync('::build-885/')).code, 0)
  t.match(asks(from).at(-1)?.headers.range, /^bytes=[1-9]/, 'what had come was not sent again')
  await isSound(t, school, { 885: tree })
})

t.test('killed while another school sends a build, the server goes on where it was', async (t) => {
  if (!equipped(t)) return
  const mostBytes = rounds(12_000_000, 3_000_000)
  const { tree, files } = await stocked(t, '885', mostBytes, 100)
  const from = await upstream(t, files)
  const capital = await schoolServer(t, `${from.url}/{name}`)
  t.match(await capital.upgrade('fetch', '885'), { code: 0 })
  const far = join(capital.root, 'rsync', 'pub', 'builds', '885')
  const stanza = `fake super = yes\n[build-885]\npath = ${far}\n`
  const slow = await startRsyncDaemon(t, stanza, { speed: rounds(1500, 750) })
  const { port } = slow
  const source = `rsync://127.0.0.1:${port}/`
  let school = await schoolServer(t, source)
  const { root } = school
  const writers = () => processesOf(join(root, 'rsync', 'arriving', '885'))
  const come = async () => (await within(root, 'rsync', 'arriving', '885', 'root', 'bin')).length
  for (let round = 0; round < rounds(3, 2); round += 1) {
    const before = await come()
    const client = school.rsync('::build-885/')
    await until(async () => (await come()) > before + 8, 'some of it')
    await school.kill9()
    t.not((await client).code, 0)
    await until(async () => (await writers()).length === 0, 'the end of all that write')
    const left = await come()
    t.ok(left > before && left < 100, `${left} files`)
    school = await schoolServer(t, source, [], { root })
    await isSound(t, school, {})
    t.equal(await come(), left, 'what has come is there')
  }
  await slow.kill()
  const quick = await startRsyncDaemon(t, stanza, { port })
  t.match(await school.rsync('::build-885/'), { code: 0 })
  const sent = (await quick.sent()).reduce((sum, bytes) => sum + bytes, 0)
  t.ok(sent < (11 / 12) * mostBytes, `${sent} bytes: what had come was not sent again`)
  await isSound(t, school, { 885: tree })
  t.same(await within(root, 'rsync', 'arriving'), [])
})

t.test('killed, the server leaves no rsync behind, however slow the line', async (t) => {
  if (!equipped(t)) return
  const far = await temporaryDirectory(t)
  await mkdir(join(far, 'root'))
  await writeFile(join(far, 'contents'), '{}')
  await writeFile(join(far, 'root', 'large'), Buffer.alloc(3_000_000, 1))
  const { port } = await startRsyncDaemon(t, `[build-885]\npath = ${far}\n`, { speed: 5 })
  const school = await schoolServer(t, `rsync://127.0.0.1:${port}/`)
  const client = school.rsync('::build-885/')
  const writers = () => processesOf(join(school.root, 'rsync', 'arriving', '885'))
  await until(
    async () => (await within(school.root, 'rsync', 'arriving', '885', 'root')).length > 0,
    'a part',
  )
  t.ok((await writers()).length > 0)
  await school.kill9()
  await client
  await until(async () => (await writers()).length === 0, 'their end')
})

t.test('killed while it unpacks, the server has the whole build or none', async (t) => {
  if (!equipped(t)) return
  const { tree, files } = await stocked(t, '885', 4_000_000, 400)
  const from = await upstream(t, files)
  const source = `${from.url}/{name}`
  let school = await schoolServer(t, source)
  const { root } = school
  let halfMade = 0
  const many = rounds(8, 4)
  for (let round = 0; round < many; round += 1) {
    const client = school.rsync('::build-885/')
    await until(async () => (await within(root, 'rsync', 'making')).length > 1, 'unpacking')
    await sleep(spread(random, round, many, 480))
    await school.kill9()
    await client
    if ((await within(root, 'rsync', 'making')).length > 1) halfMade += 1
    school = await schoolServer(t, source, [], { root })
    await isSound(t, school, { 885: tree })
    await school.upgrade('remove', '885')
  }
  t.ok(halfMade > 0, `${halfMade} times it was half made`)
  t.equal((await school.rsync('::build-885/')).code, 0)
  await isSound(t, school, { 885: tree })
  t.same(await within(root, 'upgrade', 'downloads'), [])
})

t.test('killed while it removes, the server has the others whole, and goes on removing', async (t) => {
  if (!equipped(t) || !needs(t, 'faketime', 'faketime')) return
  const names = ['a', 'b', 'c', 'd']
  const trees: Record<string, string> = {}
  const all: Record<string, File>[] = []
  for (const name of names) {
    const { tree, files } = await stocked(t, name, 500_000, rounds(1500, 800))
    trees[name] = tree
    all.push(files)
  }
  const from = await upstream(t, Object.assign({}, ...all))
  const source = `${from.url}/{name}`
  const first = await schoolServer(t, source)
  const { root } = first
  await first.stop()
  const many = rounds(4, 2)
  for (let round = 0; round < many; round += 1) {
    const now = later(round * 60)
    const filled = await schoolServer(t, source, [], { root, env: now })
    for (const name of names) await filled.upgrade('fetch', name)
    await isSound(t, filled, trees)
    await filled.stop()
    const then = later(round * 60 + 30)
    const small = await schoolServer(t, source, ['--upgrade-limit', '1'], { root, env: then })
    const ended = small.upgrade('gc')
    await until(
      async () => (await within(root, 'rsync', 'pub', 'builds')).length < names.length,
      'the first to go',
    )
    await sleep(spread(random, round, many, 120))
    await small.kill9()
    await ended
    const again = await schoolServer(t, source, [], { root, env: then })
    await isSound(t, again, trees)
    const { out } = await again.upgrade('list', '--json')
    const left = (JSON.parse(out) as unknown[]).length
    t.ok(left < names.length, `${left} are left`)
    await again.stop()
  }
})
