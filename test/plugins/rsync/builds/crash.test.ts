import { readdirSync, readFileSync } from 'node:fs'
import { access, readdir, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { gzipSync } from 'node:zlib'
import t, { type Test } from 'tap'
import { cliHere } from '../../../support/core/cli-here.js'
import { run, type Server, startServer, until } from '../../../support/core/server-process.js'
import { needs } from '../../../support/needs.js'
import { isSoak, rounds, seed, spread } from '../../../support/rounds.js'
import { type Entry, tarOf } from '../../../support/rsync/handmade-tar.js'
import { pack } from '../../../support/rsync/packed-builds.js'
import { seededRandom } from '../../../support/seeded-random.js'
import { temporaryDirectory } from '../../../support/temporary-directory.js'

t.setTimeout(900_000)

const args = ['--host', '127.0.0.1', '--httpd-port', '0', '--rsync-port', '0', '--plugins', 'rsync']

/** How many files a build has. */
const files = rounds(1200, 600)

/** Files of a version of the build, each of which says which one it is. */
const filesOf = (version: string): Entry[] =>
  Array.from({ length: files }, (_, index) => ({
    name: `d${index % 30}/f${index}`,
    mode: 0o4755,
    content: `${version} ${index}\n`.repeat(1 + (index % 60)),
  }))

/** Names below a directory; none, when it is not there. */
const namesIn = (folder: string): Promise<string[]> => readdir(folder).catch(() => [])

/** A moment at which the server is killed: what is to be seen in `rsync-root` then. */
const moments: readonly [name: string, come: (folder: string, old: Set<string>) => Promise<boolean>][] = [
  ['a draft is begun', async (folder, old) => (await draftOf(folder, old)) !== undefined],
  [
    'files are unpacked',
    async (folder, old) => (await namesIn(join(await inDraft(folder, old), 'unpacked'))).length > 3,
  ],
  [
    'much is unpacked',
    async (folder, old) => (await namesIn(join(await inDraft(folder, old), 'unpacked'))).length > 25,
  ],
  [
    'the tree is in its place',
    async (folder, old) => isThere(join(await inDraft(folder, old), 'build', 'root')),
  ],
  [
    'the manifest is there',
    async (folder, old) => isThere(join(await inDraft(folder, old), 'build', 'contents')),
  ],
  ['it is sealed', async (folder, old) => isThere(join(await inDraft(folder, old), 'build.json'))],
  [
    'the old one is out of its place',
    async (folder, old) =>
      (await namesIn(await inDraft(folder, old))).some((name) => name.startsWith('old-')),
  ],
  [
    'the new one is in its place',
    async (folder, old) => {
      const draft = await inDraft(folder, old)
      return (await isThere(join(draft, 'build.json'))) && !(await isThere(join(draft, 'build')))
    },
  ],
]

async function draftOf(folder: string, old: Set<string>): Promise<string | undefined> {
  return (await namesIn(join(folder, 'making'))).find((name) => name.startsWith('draft-') && !old.has(name))
}

const inDraft = async (folder: string, old: Set<string>): Promise<string> =>
  join(folder, 'making', (await draftOf(folder, old)) ?? 'none')

const isThere = (path: string): Promise<boolean> =>
  access(path).then(
    () => true,
    () => false,
  )

/** What a laptop gets of the build: its version, or what is wrong with it. */
async function pulled(t: Test, server: Server, name: string): Promise<string> {
  const to = join(server.home, 'pulled')
  await rm(to, { recursive: true, force: true })
  const port = new URL(await server.url('rsync')).port
  const { code, err } = await run(t, ['rsync', '-rp', `rsync://127.0.0.1:${port}/build-${name}/`, to])
  if (code !== 0) return `rsync ended with ${code}: ${err}`
  const versions = new Set<string>([readFileSync(join(to, 'contents'), 'utf8').trim()])
  let count = 0
  for (const folder of readdirSync(join(to, 'root'))) {
    for (const file of readdirSync(join(to, 'root', folder))) {
      count += 1
      for (const line of readFileSync(join(to, 'root', folder, file), 'utf8')
        .trim()
        .split('\n'))
        versions.add(line.split(' ')[0] ?? '')
    }
  }
  return count === files ? [...versions].join(' and ') : `${count} files of ${[...versions].join(' and ')}`
}

const random = seededRandom(seed)
/** Rounds at a time that has no name. */
const anyTime = rounds(5, 2)
const after = (milliseconds: number): (typeof moments)[number] => [
  `${Math.round(milliseconds)} ms have passed`,
  () => sleep(milliseconds, true),
]

const has = (t: Test): boolean => needs(t, 'rsync', 'rsync') && needs(t, 'setfattr', 'attr')

t.test(
  'kill -9 at any moment of a refresh: what is published is whole, and the next start is clean',
  async (t) => {
    if (!has(t)) return
    const folder = await temporaryDirectory(t)
    const root = join(folder, 'root')
    const [published, making] = [join(root, 'rsync', 'pub', 'builds'), join(root, 'rsync', 'making')]
    const [packed, aside] = [join(folder, 'packed'), join(folder, 'aside')]
    const start = () => startServer(t, { root, args: [...args, '--rsync-packed', packed] })
    const refresh = () => cliHere(t, ['rsync', 'refresh', '--root', root, '--rsync-packed', packed])
    const packVersion = (version: string) =>
      pack(packed, '885', {
        tree: gzipSync(tarOf(...filesOf(version)), { level: 1 }),
        contents: `${version}\n`,
      })

    let server = await start()
    await packVersion('v0')
    t.match(await refresh(), { code: 0, out: /885 published/ })
    let before = 'v0'
    const met = new Set<string>()
    const times = Array.from({ length: anyTime }, (_, index) => spread(random, index, anyTime, 250))
    const todo = [...moments, ...(isSoak ? moments : []), ...times.map(after)]
    let attempts = 3 * moments.length
    let round = 0
    for (let moment = todo.shift(); moment !== undefined; moment = todo.shift()) {
      round += 1
      const old = new Set(await namesIn(making))
      const version = `v${round}`
      await packVersion(version)
      let hasEnded = false
      const refreshing = refresh().finally(() => {
        hasEnded = true
      })
      const [name, has] = moment
      while (!hasEnded && !(await has(join(root, 'rsync'), old)));
      // Some moments are short: one that was missed is tried again.
      attempts -= 1
      if (!hasEnded) met.add(name)
      else if (attempts > 0) todo.push(moment)
      await server.kill9()
      await refreshing
      // So that the next start publishes nothing but what this one has made.
      await rename(packed, aside)
      server = await start()
      const after = await pulled(t, server, '885')
      if (after !== before && after !== version)
        t.fail(`killed when ${name}: ${before}, then ${version}, became ${after}`)
      await until(async () => (await namesIn(making)).length === 0, `what was left to go, when ${name}`)
      if ((await namesIn(published)).join() !== '885')
        t.fail(`killed when ${name}: ${await namesIn(published)}`)
      before = after
      await rename(aside, packed)
    }
    const named = moments.filter(([name]) => met.has(name)).length
    t.ok(named >= moments.length - 1, `killed when ${[...met].join(', ')}`)
    t.match(await refresh(), { code: 0 })
    t.equal(await pulled(t, server, '885'), `v${round}`)
    // A stop does not wait for the removal of what was replaced.
    await until(async () => (await namesIn(making)).length === 0, 'what was replaced to go')
    t.equal((await server.stop()).code, 0)
  },
)

t.test('kill -9 while a build is removed: it is there as a whole, or gone', async (t) => {
  if (!has(t)) return
  const folder = await temporaryDirectory(t)
  const root = join(folder, 'root')
  const [published, making] = [join(root, 'rsync', 'pub', 'builds'), join(root, 'rsync', 'making')]
  const [packed, aside] = [join(folder, 'packed'), join(folder, 'aside')]
  const start = () => startServer(t, { root, args: [...args, '--rsync-packed', packed] })
  await pack(packed, '885', { tree: gzipSync(tarOf(...filesOf('v1')), { level: 1 }), contents: 'v1\n' })
  let gone = 0
  let server = await start()
  const removals = rounds(5, 3)
  for (let round = 0; round < removals; round += 1) {
    t.match(await cliHere(t, ['rsync', 'refresh', '--root', root]), { code: 0 })
    await rename(packed, aside)
    const withdrawing = cliHere(t, ['rsync', 'withdraw', '885', '--root', root])
    const moved = async () => (await namesIn(making)).some((name) => name.startsWith('gone-'))
    if (round % 2 === 0) await until(moved, 'it to be moved')
    else await sleep(100 + spread(random, round, removals, 300))
    await server.kill9()
    await withdrawing
    server = await start()
    if ((await namesIn(published)).length === 0) {
      gone += 1
      t.match(await pulled(t, server, '885'), /^rsync ended with 5: /)
    } else t.equal(await pulled(t, server, '885'), 'v1')
    await until(async () => (await namesIn(making)).length === 0, 'the rest to go')
    await rename(aside, packed)
  }
  t.ok(gone >= removals / 2, `gone ${gone} times`)
})
