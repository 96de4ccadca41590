import { spawnSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { chmod, mkdir, readdir, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { upgrade } from '../../../sugaroid/index.js'
import { anotherUser } from '../../support/another-user.js'
import { lacks, needs } from '../../support/needs.js'
import { sugaroid } from '../../support/sugaroid/fake-servers.js'
import { build, program, served } from '../../support/sugaroid/served-build.js'
import { temporaryDirectory } from '../../support/temporary-directory.js'

t.test('a place where no build can come is named before anybody is asked', async (t) => {
  const folder = await temporaryDirectory(t)
  const at = (...names: string[]) => join(folder, ...names)
  await writeFile(at('file'), 'x')
  await symlink(at('nowhere'), at('dangling'))
  await symlink(at('circle'), at('circle'))
  await mkdir(at('linked'))
  await mkdir(at('family'))
  await symlink(at('family'), at('linked', 'root'))
  await writeFile(at('linked', 'contents'), '{}')
  await mkdir(at('stick', 'root'), { recursive: true })
  await mkdir(at('odd', 'contents'), { recursive: true })
  await mkdir(at('full', 'homework'), { recursive: true })
  const cases: [string, RegExp][] = [
    [at('file'), /file is no directory/],
    [at('file', '885'), /a file in the way/],
    [at('dangling'), /link that leads nowhere/],
    [at('circle'), /links lead in a circle/],
    [at('linked'), /root is no directory, as it is in a build/],
    [at('stick'), /root has no manifest beside it/],
    [at('odd'), /contents is no file, as it is in a build/],
    [at('full'), /holds something that is no build: homework/],
    [at('x'.repeat(300)), /name is too long/],
  ]
  for (const [to, message] of cases) {
    const { code, out, err } = await sugaroid('upgrade', '885', '--server', '127.0.0.1:1', '--to', to)
    t.equal(code, 74, to)
    t.equal(out, '')
    t.match(err, message)
    t.match(err, /--to\n$/)
  }
  t.match(await readdir(at('family')), [])
})

t.test('a link to a directory is as good as the directory', async (t) => {
  if (!needs(t, 'rsync', 'rsync')) return
  const server = await served(t, await build(t))
  const folder = await temporaryDirectory(t)
  await mkdir(join(folder, 'disk'))
  await symlink('disk', join(folder, 'link'))
  t.match(await upgrade('885', { server, to: join(folder, 'link') }), { outcome: 'upgraded' })
  t.same(await readdir(join(folder, 'disk')), ['contents', 'root'])
})

t.test('what a killed rsync left of a manifest is cleared away', async (t) => {
  if (!needs(t, 'rsync', 'rsync')) return
  const server = await served(t, await build(t))
  const to = await temporaryDirectory(t)
  await writeFile(join(to, '.contents.aB3dE9'), '{"na')
  t.match(await upgrade('885', { server, to }), { outcome: 'upgraded' })
  t.same(await readdir(to), ['contents', 'root'])
})

t.test('a place below a directory in which nobody can make any is given up at once', async (t) => {
  if (!needs(t, 'rsync', 'rsync')) return
  const { host, port } = await served(t, await build(t))
  const to = '/proc/nobody/885'
  const { code, err } = await sugaroid('upgrade', '885', '--server', `${host}:${port}`, '--to', to)
  t.equal(code, 74)
  t.match(err, /\/proc\/nobody\/885/)
  t.match(await sugaroid('register', '--server', '127.0.0.1:1', '--home', '/proc/nobody'), { code: 74 })
})

t.test('a directory that another user owns is said not to be writable', async (t) => {
  if (!needs(t, 'rsync', 'rsync') || !needs(t, 'setpriv', 'util-linux')) return
  if (process.getuid?.() !== 0) return lacks(t, 'needs root', 'only root can be another user')
  const { host, port } = await served(t, await build(t))
  const folder = await temporaryDirectory(t)
  await chmod(folder, 0o755)
  await mkdir(join(folder, 'old'))
  const as = [...anotherUser, process.execPath, program]
  for (const to of [join(folder, 'old'), join(folder, 'new')]) {
    const words = ['upgrade', '885', '--server', `${host}:${port}`, '--to', to]
    const { status, stderr } = spawnSync('setpriv', [...as, ...words], { encoding: 'utf8' })
    t.equal(status, 74)
    t.match(stderr, /no build can come to \S+: this user may not write there/)
  }
})

t.test('a full disk is told from a broken line', async (t) => {
  if (!needs(t, 'rsync', 'rsync')) return
  const path = await build(t)
  await writeFile(join(path, 'root', 'vmlinuz'), randomBytes(2_000_000))
  const { host, port } = await served(t, path)
  const disk = await temporaryDirectory(t)
  const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=1m,mode=700', 'tmpfs', disk])
  if (mounted.status !== 0) return lacks(t, 'needs a mounted tmpfs', 'this user cannot mount one')
  t.teardown(() => spawnSync('umount', [disk]))
  const { code, out, err } = await sugaroid(
    ...['upgrade', '885', '--server', `${host}:${port}`, '--to', join(disk, '885')],
  )
  t.equal(code, 74)
  t.match(out, /cannot be written here[\s\S]*No space left/)
  t.match(err, /make room/)
})
