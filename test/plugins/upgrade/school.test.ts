import { spawnSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import {
  chmod,
  link,
  mkdir,
  readdir,
  readFile,
  rename,
  rm,
  stat,
  symlink,
  utimes,
  writeFile,
} from 'node:fs/promises'
import { connect, createServer } from 'node:net'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { RequestError } from '../../../core/api.js'
import { School } from '../../../plugins/upgrade/sources/school.js'
import { until } from '../../support/core/server-process.js'
import { needs } from '../../support/needs.js'
import { temporaryDirectory } from '../../support/temporary-directory.js'
import { bring, site, type TestSite } from '../../support/upgrade/build-site.js'
import { rsyncDaemon, startRsyncDaemon } from '../../support/upgrade/rsync-daemon.js'

const pace = { idle: 5000, pauses: [1, 1, 1, 1] }
const schoolAt = (port: number) => new School({ host: '127.0.0.1', port }, pace)

/** A build as another server publishes it. */
async function build(t: Test): Promise<string> {
  const path = join(await temporaryDirectory(t), 'build')
  await mkdir(join(path, 'root', 'etc', 'empty'), { recursive: true })
  await writeFile(join(path, 'contents'), '{"a":1}')
  await writeFile(join(path, 'root', 'etc', 'passwd'), 'root:x:0:0\n'.repeat(100))
  await link(join(path, 'root', 'etc', 'passwd'), join(path, 'root', 'etc', 'passwd-'))
  await symlink('/etc/shadow', join(path, 'root', 'etc', 'shadow'))
  await writeFile(join(path, 'root', 'su'), 'su')
  await chmod(join(path, 'root', 'su'), 0o4755)
  await writeFile(join(path, 'extra'), 'belongs to no build')
  await utimes(join(path, 'root', 'su'), 1, 1)
  return path
}

t.test(
  'a build comes from another school as that one serves it, with its owners in attributes',
  async (t) => {
    if (!needs(t, 'rsync', 'rsync')) return
    const path = await build(t)
    const port = await rsyncDaemon(
      t,
      `motd file = /etc/hostname\n[build-885]\npath = ${path}\ncomment = OLPC 885\n`,
    )
    const to = await site(t)
    let tree = ''
    let names: string[] = []
    to.builds.adopt = async (name, directory, from) => {
      names = (await readdir(directory)).sort()
      tree = await readFile(join(directory, 'root', 'etc', 'passwd'), 'utf8')
      t.equal(
        await readFile(join(directory, 'root', 'etc', 'shadow'), 'utf8'),
        '/etc/shadow',
        'no link is made here',
      )
      const check = ['-aHn', '--fake-super', '--checksum', '--itemize-changes', '--exclude=/extra']
      const { stdout } = spawnSync('rsync', [
        ...check,
        `rsync://127.0.0.1:${port}/build-885/`,
        `${directory}/`,
      ])
      t.equal(String(stdout).replace(/^\S+\n\n?/, ''), '', 'rsync sees no difference')
      return { name, path: directory, digest: '', bytes: 1, entries: 1, publishedAt: '', from }
    }
    t.match(await bring(schoolAt(port), to), { from: 'upgrade' })
    t.same(names, ['contents', 'root'], 'and nothing else')
    t.equal(tree.length, 1100)
    t.ok((to.rooms[0]?.[1] ?? 0) >= 1100 + 7 * 4096, 'room is made for its files')
    t.ok(to.steps.length > 0)
  },
)

t.test('what another school does not list is not asked for', async (t) => {
  if (!needs(t, 'rsync', 'rsync')) return
  const path = await build(t)
  const port = await rsyncDaemon(
    t,
    `[build-8850]\npath = ${path}\n[build-602]\npath = ${path}\nlist = no\n[x]\npath = ${path}\ncomment = build-885\n`,
  )
  const { signal } = await site(t)
  for (const name of ['885', '602', '88', 'x'])
    t.equal(await schoolAt(port).find(name, signal), undefined, name)
})

t.test('what another school says of itself is told', async (t) => {
  if (!needs(t, 'rsync', 'rsync')) return
  const refusing = createServer((socket) => {
    socket.on('error', () => undefined)
    socket.end('@RSYNCD: 31.0\n@ERROR: the server is closed; come back on Monday\n')
  })
  await new Promise<void>((resolve) => refusing.listen(0, '127.0.0.1', resolve))
  t.teardown(() => refusing.close())
  const address = refusing.address()
  const port = typeof address === 'object' && address !== null ? address.port : 0
  await t.rejects(schoolAt(port).find('885', (await site(t)).signal), {
    code: 'UNAVAILABLE',
    message: `rsync://127.0.0.1:${port}/ says: the server is closed; come back on Monday`,
  })
})

t.test('a school that is not there, or says nothing, is a source that fails', async (t) => {
  if (!needs(t, 'rsync', 'rsync')) return
  const silent = createServer((socket) => socket.on('error', () => undefined))
  await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve))
  t.teardown(() => silent.close())
  const address = silent.address()
  const port = typeof address === 'object' && address !== null ? address.port : 0
  const { signal } = await site(t)
  const quick = new School({ host: '127.0.0.1', port }, { idle: 1000, pauses: [] })
  await t.rejects(quick.find('885', signal), { message: /timeout|cannot be read/ })
  await t.rejects(schoolAt(1).find('885', signal), { code: 'UNAVAILABLE', message: /Connection refused|111/ })
})

t.test('what is no build is not taken, and nothing of it is left', async (t) => {
  if (!needs(t, 'rsync', 'rsync')) return
  const path = await build(t)
  const port = await rsyncDaemon(t, `[build-885]\npath = ${path}\n`)
  await rename(join(path, 'contents'), join(path, 'other'))
  const to = await site(t)
  const thrown = { code: 'REFUSED', message: /has something else as build-885/ }
  await t.rejects(bring(schoolAt(port), to), thrown)
  t.same(await readdir(to.arriving), [])
  await mkdir(join(path, 'contents'))
  await t.rejects(bring(schoolAt(port), to), thrown)
  t.same(await readdir(to.arriving), [])
  await rm(join(path, 'contents'), { recursive: true })
  await writeFile(join(path, 'contents'), '')
  to.builds.adopt = async () => {
    throw new RequestError('REQUEST_INVALID', 'it is hostile')
  }
  await t.rejects(bring(schoolAt(port), to), { message: 'it is hostile' })
  t.same(await readdir(to.arriving), [])
})

t.test('a stop ends rsync, and what has not begun leaves nothing', async (t) => {
  if (!needs(t, 'rsync', 'rsync')) return
  const port = await rsyncDaemon(t, `[build-885]\npath = ${await build(t)}\n`)
  const to = await site(t)
  to.makeRoom = async () => to.stop.abort(new Error('the server is stopping'))
  await t.rejects(bring(schoolAt(port), to), { message: 'the server is stopping' })
  t.same(await readdir(to.arriving), [])
})

const mega = 1 << 20

/** A build of twelve files of a megabyte each, the last as large as six of them. */
async function largeBuild(t: Test): Promise<string> {
  const path = await build(t)
  for (let number = 10; number < 22; number += 1)
    await writeFile(join(path, 'root', `${number}`), randomBytes(number < 21 ? mega : 6 * mega))
  return path
}

/** What rsync sees differ between a build and what has come of it. */
const differences = (port: number, directory: string): string =>
  String(
    spawnSync('rsync', [
      ...['-aHn', '--fake-super', '--checksum', '--itemize-changes', '--delete', '--exclude=/extra'],
      ...[`rsync://127.0.0.1:${port}/build-885/`, `${directory}/`],
    ]).stdout,
  )

/** A site at which a build arrives that is compared with that of the source. */
async function comparing(t: Test, port: number): Promise<TestSite & { found: string[] }> {
  const to = await site(t)
  const found: string[] = []
  to.builds.adopt = async (name, directory, from) => {
    found.push(differences(port, directory), (await readdir(directory)).sort().join())
    return { name, path: directory, digest: '', bytes: 1, entries: 1, publishedAt: '', from }
  }
  return Object.assign(to, { found })
}

const come = ({ steps }: TestSite): number => steps.at(-1)?.[0] ?? 0

t.test('what has come when the source is killed is not sent again', async (t) => {
  if (!needs(t, 'rsync', 'rsync')) return
  const stanza = `[build-885]\npath = ${await largeBuild(t)}\n`
  const slow = await startRsyncDaemon(t, stanza, { speed: 6000 })
  const { port } = slow
  const to = await comparing(t, port)
  const once = new School({ host: '127.0.0.1', port }, { idle: 5000, pauses: [] })
  const bringing = bring(once, to)
  bringing.catch(() => undefined)
  await until(() => come(to) > 12 * mega, 'the large file')
  await slow.kill()
  await t.rejects(bringing, { code: 'UNAVAILABLE', message: /cannot be read/ })
  const total = to.steps.at(-1)?.[1] ?? 0
  t.ok(total > 17 * mega && total < 18 * mega, 'the percents are those of what is sent')
  const quick = await startRsyncDaemon(t, stanza, { port })
  await bring(schoolAt(port), to)
  t.same(to.found, ['', 'contents,root'], 'it is the build, and nothing but it')
  const sent = (await quick.sent()).reduce((sum, bytes) => sum + bytes, 0)
  t.ok(sent < 6 * mega, `${sent} bytes of ${total}: even the large file is gone on with`)
  const [, , here = 0] = to.rooms.at(-1) ?? []
  t.ok(here >= 11 * mega, `${here} bytes need no room any more`)
})

t.test('a source that breaks off again and again is gone on with as long as it gets on', async (t) => {
  if (!needs(t, 'rsync', 'rsync')) return
  const daemon = await startRsyncDaemon(t, `[build-885]\npath = ${await largeBuild(t)}\n`)
  const cut = await cutter(t, daemon.port, 3 * mega)
  const to = await comparing(t, daemon.port)
  await bring(new School({ host: '127.0.0.1', port: cut.port }, { idle: 5000, pauses: [1, 1] }), to)
  t.same(to.found, ['', 'contents,root'])
  t.ok(cut.cuts() >= 5, `${cut.cuts()} times, and two without getting on were too many`)
  t.same(
    to.steps.map(([bytes]) => bytes),
    to.steps.map(([bytes]) => bytes).sort((one, other) => one - other),
    'nobody is told that it goes back',
  )
})

t.test('what a power cut has left, with its sizes and times, is compared by its sums', async (t) => {
  if (!needs(t, 'rsync', 'rsync')) return
  const path = await largeBuild(t)
  const port = await rsyncDaemon(t, `[build-885]\npath = ${path}\n`)
  const to = await comparing(t, port)
  const at = await to.builds.arrivals.folder('885')
  await mkdir(join(at, 'root'))
  await writeFile(join(at, 'root', '12'), Buffer.alloc(mega))
  await writeFile(join(at, 'root', '.13.Zd6eQx'), 'of an rsync that was killed')
  await writeFile(join(at, '.contents.Zd6eQx'), 'of another')
  await mkdir(join(at, 'other'))
  const { atime, mtime } = await stat(join(path, 'root', '12'))
  await utimes(join(at, 'root', '12'), atime, mtime)
  await bring(schoolAt(port), to)
  t.same(to.found, ['', 'contents,root'])
})

t.test('a source that will not be compared with is begun anew, and fetched', async (t) => {
  if (!needs(t, 'rsync', 'rsync')) return
  const port = await rsyncDaemon(t, `refuse options = checksum\n[build-885]\npath = ${await build(t)}\n`)
  const to = await site(t)
  await mkdir(join(await to.builds.arrivals.folder('885'), 'root'))
  await t.rejects(bring(schoolAt(port), to), {
    code: 'REFUSED',
    message: /is configured to refuse --checksum/,
  })
  t.same(await readdir(to.arriving), [])
  await bring(schoolAt(port), to)
  t.equal(to.adopted.length, 1)
})

t.test('rsync is ended within moments of a stop, and what has come is kept', async (t) => {
  if (!needs(t, 'rsync', 'rsync')) return
  const stanza = `[build-885]\npath = ${await largeBuild(t)}\n`
  const { port } = await startRsyncDaemon(t, stanza, { speed: 4000 })
  const to = await comparing(t, port)
  const bringing = bring(schoolAt(port), to)
  bringing.catch(() => undefined)
  await until(() => come(to) > 3 * mega, 'some of it')
  to.stop.abort(new Error('the server is stopping'))
  await t.rejects(bringing, { message: 'the server is stopping' })
  t.ok((await readdir(join(to.arriving, '885', 'root'))).length >= 3)
})

/** A cable that breaks after so many bytes of each connection. */
async function cutter(t: Test, port: number, most: number): Promise<{ port: number; cuts(): number }> {
  let cuts = 0
  const server = createServer((socket) => {
    const far = connect(port, '127.0.0.1')
    const end = () => {
      socket.destroy()
      far.destroy()
    }
    let came = 0
    far.on('data', (chunk) => {
      came += chunk.length
      if (came > most) {
        cuts += 1
        return end()
      }
      socket.write(chunk)
    })
    socket.on('data', (chunk) => far.write(chunk))
    for (const one of [socket, far]) one.on('error', end).on('close', end)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => server.close())
  const address = server.address()
  return { port: typeof address === 'object' && address !== null ? address.port : 0, cuts: () => cuts }
}
