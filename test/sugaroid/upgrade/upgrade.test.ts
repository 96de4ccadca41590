import { spawnSync } from 'node:child_process'
import { chown, readdir, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { upgrade } from '../../../sugaroid/index.js'
import { anotherUser } from '../../support/another-user.js'
import { needs } from '../../support/needs.js'
import { sugaroid } from '../../support/sugaroid/fake-servers.js'
import { build, program, saying, served } from '../../support/sugaroid/served-build.js'
import { temporaryDirectory } from '../../support/temporary-directory.js'

t.setTimeout(300_000)

t.test('a build comes with its manifest, its owners and its links, and is compared', async (t) => {
  if (!needs(t, 'rsync', 'rsync')) return
  const path = await build(t)
  const { host, port } = await served(t, path)
  const home = await temporaryDirectory(t)
  const { code, out, err } = await sugaroid('upgrade', '885', '--server', `${host}:${port}`, '--home', home)
  t.equal(err, '')
  t.equal(code, 0)
  t.match(out, new RegExp(`^${host}:${port} lists build-885\\.\nFetching the manifest\\.\n`))
  t.match(
    out,
    /Comparing.*\n(?:.*\n)*The build 885 is here, and is what the server has\.\n {2}directory {2}.*885\n/,
  )
  const to = join(home, 'builds', '885')
  t.equal(await readFile(join(to, 'contents'), 'utf8'), '{"name":"885"}')
  t.same(await readdir(to), ['contents', 'root'])
  const [su, sudo] = [await stat(join(to, 'root', 'bin', 'su')), await stat(join(to, 'root', 'bin', 'sudo'))]
  t.equal(su.ino, sudo.ino)
  if (process.getuid?.() === 0) t.match(su, { uid: 1234, gid: 4321, mode: 0o104711 })
})

t.test('who is not root keeps owners in attributes', async (t) => {
  if (!needs(t, 'rsync', 'rsync') || !needs(t, 'setpriv', 'util-linux') || !needs(t, 'getfattr', 'attr'))
    return
  if (process.getuid?.() !== 0) return t.pass('needs root', { skip: 'only root can be another user' })
  const path = await build(t)
  const { host, port } = await served(t, path)
  const home = await temporaryDirectory(t)
  await chown(home, 65_534, 65_534)
  const as = [...anotherUser, process.execPath, program]
  const words = ['upgrade', '--json', '--server', `${host}:${port}`, '--home', home, '885']
  const { status, stdout, stderr } = spawnSync('setpriv', [...as, ...words], { encoding: 'utf8' })
  if (/permitted|not supported/i.test(stdout)) return t.pass('needs user attributes', { skip: stdout })
  t.equal(status, 0, stdout + stderr)
  t.match(JSON.parse(stdout), { outcome: 'upgraded', isListed: true })
  const file = join(home, 'builds', '885', 'root', 'bin', 'su')
  t.equal((await stat(file)).mode & 0o7000, 0, 'nothing becomes setuid here')
  const found = spawnSync('getfattr', ['-n', 'user.rsync.%stat', '--only-values', file], { encoding: 'utf8' })
  t.equal(found.stdout, '104711 0,0 1234:4321')
})

t.test('an older build becomes the new one, and what is no build is left alone', async (t) => {
  if (!needs(t, 'rsync', 'rsync')) return
  const path = await build(t)
  const server = await served(t, path)
  const to = await temporaryDirectory(t)
  t.match(await upgrade('885', { server, to }), { outcome: 'upgraded' })
  await writeFile(join(to, 'root', 'old'), 'old')
  await writeFile(join(to, 'root', 'bin', 'su'), 'infected')
  t.match(await upgrade('885', { server, to }), { outcome: 'upgraded' })
  t.same(await readdir(join(to, 'root')), ['bin', 'null'])
  t.equal((await stat(join(to, 'root', 'bin', 'su'))).size, 100_000)
  const other = await temporaryDirectory(t)
  await writeFile(join(other, 'homework'), 'x')
  await t.rejects(upgrade('885', { server, to: other }), { name: 'HomeError', message: /homework/ })
})

t.test('what differs from the server is said', async (t) => {
  if (!needs(t, 'rsync', 'rsync')) return
  const path = await build(t)
  const server = await served(t, path)
  const begun = (what: string) => void (what === 'comparison' && spoil())
  const spoil = () => spawnSync('sh', ['-c', `printf x >> '${join(path, 'root', 'bin', 'su')}'`])
  const to = await temporaryDirectory(t)
  t.match(await upgrade('885', { server, to, begun }), {
    outcome: 'differs',
    differences: [/^>f.*bin\/su/],
  })
  const restless = await served(t, path, `pre-xfer exec = printf x >> '${join(path, 'root', 'bin', 'su')}'\n`)
  const words = ['upgrade', '885', '--server', `${restless.host}:${restless.port}`, '--to', to]
  t.match(await sugaroid(...words), {
    code: 65,
    out: /is not what the server has\.[\s\S]* first +>f.*bin\/su/,
  })
})

t.test('what a server says when it says no is shown word for word', async (t) => {
  if (!needs(t, 'rsync', 'rsync')) return
  const path = await build(t)
  const { host, port } = await served(t, path)
  const to = await temporaryDirectory(t)
  const ask = (server: string, name = '602') => sugaroid('upgrade', name, '--server', server, '--to', to)
  t.match(await ask(`${host}:${port}`), {
    code: 77,
    out: /does not list build-602[\s\S]*server says {2}Unknown module 'build-602'/,
  })
  const words = 'build-602 is being fetched (41 %); try again in about 10 minutes'
  t.match(await ask(await saying(t, `@RSYNCD: 31.0\n@ERROR: ${words}\n`)), {
    code: 75,
    out: new RegExp(`server says {2}${words.replace(/[()]/g, '\\$&')}`),
  })
  const wrong = await saying(t, '@RSYNCD: 31.0\n@ERROR: build-602 does not hash to its checksum\n')
  t.match(await ask(wrong), { code: 77, out: /does not give the build/, err: /tell these words/ })
  t.match(await ask(await saying(t, '@RSYNCD: 31.0\n@ERROR: \u001b[2Jgo away\n')), {
    code: 77,
    out: /server says {2}\S*\[2Jgo away/,
  })
  t.match(await ask('127.0.0.1:1'), { code: 69, out: /does not say which builds[\s\S]*refused/ })
  t.match(await ask(await saying(t, 'HTTP/1.1 400 Bad Request\r\n\r\n')), { code: 69 })
  const { out } = await sugaroid('upgrade', '--help')
  for (const code of [0, 64, 65, 69, 74, 75, 77, 130]) t.match(out, new RegExp(`^ {2}${code} +\\S`, 'm'))
})

t.test('a command line that makes no sense is refused before anybody is asked', async (t) => {
  t.match(await sugaroid('upgrade'), { code: 64, err: /no BUILD given/ })
  t.match(await sugaroid('upgrade', '885', '602'), { code: 64, err: /unexpected argument '602'/ })
  for (const name of ['..', '../x', 'a b', '$(x)', 'x'.repeat(65)])
    t.match(await sugaroid('upgrade', name), { code: 64, err: /is no build/ }, name)
  t.match(await sugaroid('upgrade', '--', '-e'), { code: 64 })
  t.match(await sugaroid('upgrade', '885', '--server', 'rsync://h/'), { code: 64, err: /is not a server/ })
  t.match(await sugaroid('upgrade', '885', '--too', 'x'), { code: 64, err: /did you mean --to/ })
  t.match(await sugaroid('upgrade', '--help'), { code: 0, out: /usage: sugaroid upgrade BUILD \[OPTIONS\]/ })
})
