import { spawnSync } from 'node:child_process'
import { chmod, link, mkdir, readdir, readFile, rename, symlink, utimes, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { School } from '../../../plugins/upgrade/sources/school.js'
import { needs } from '../../support/needs.js'
import { rsyncDaemon } from './rsync-daemon.js'
import { bring, site } from './site.js'
import { temporaryDirectory } from './stand-in.js'

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
  await t.rejects(bring(schoolAt(port), to), { message: /has something else as build-885/ })
  await mkdir(join(path, 'contents'))
  const again = await site(t)
  await t.rejects(bring(schoolAt(port), again), { message: /has something else as build-885/ })
  const scratch = join(again.folder, '..', '..')
  t.notOk((await readdir(scratch)).includes('scratch'))
})

t.test('a stop ends rsync, and what it began goes', async (t) => {
  if (!needs(t, 'rsync', 'rsync')) return
  const path = await build(t)
  await writeFile(join(path, 'root', 'large'), Buffer.alloc(30 << 20, 1))
  const port = await rsyncDaemon(t, `[build-885]\npath = ${path}\n`)
  const to = await site(t)
  to.makeRoom = async () => to.stop.abort(new Error('the server is stopping'))
  await t.rejects(bring(schoolAt(port), to), { message: 'the server is stopping' })
  t.notOk((await readdir(join(to.folder, '..', '..'))).includes('scratch'))
})
