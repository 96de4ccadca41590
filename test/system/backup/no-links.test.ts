import { spawnSync } from 'node:child_process'
import { chownSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { cli, startServer } from '../../support/core/server-process.js'
import { freePorts } from '../../support/free-port.js'
import { lacks, needs } from '../../support/needs.js'
import { temporaryDirectory } from '../../support/temporary-directory.js'

t.setTimeout(120_000)

// What exFAT and FAT32 answer. No kernel of a test machine has to know those.
const calls = `
extern int *__errno_location(void);
int refuse(void) { *__errno_location() = 1; return -1; }
int link(const char *a, const char *b) { return refuse(); }
int linkat(int a, const char *b, int c, const char *d, int e) { return refuse(); }
int symlink(const char *a, const char *b) { return refuse(); }
int symlinkat(const char *a, int b, const char *c) { return refuse(); }
`

async function withoutLinks(t: Test): Promise<Record<string, string> | undefined> {
  if (!needs(t, 'gcc', 'gcc')) return undefined
  const folder = await temporaryDirectory(t)
  writeFileSync(join(folder, 'calls.c'), calls)
  const { status, stderr } = spawnSync(
    'gcc',
    ['-shared', '-nostdlib', '-fPIC', '-o', 'calls.so', 'calls.c'],
    {
      cwd: folder,
    },
  )
  if (status !== 0) throw new Error(String(stderr))
  return { LD_PRELOAD: join(folder, 'calls.so') }
}

async function settings(): Promise<string[]> {
  const ports = await freePorts(3)
  const names = ['httpd-port', 'id-port', 'backup-ssh-port']
  return names.flatMap((name, at) => [`--${name}`, String(ports[at])])
}

t.test('a disk that keeps no links is named by check and at the start, and takes no backups', async (t) => {
  const env = await withoutLinks(t)
  if (env === undefined) return
  const folder = await temporaryDirectory(t)
  const disk = join(folder, 'disk')
  mkdirSync(disk)
  const root = join(folder, 'root')
  const args = [...(await settings()), '--backup-path', join(disk, 'backup'), '--plugins', 'id,backup']
  const told = /backup-path: the file system of .*disk\/backup keeps no hard links/
  const check = await cli(t, ['check', '--root', root, ...args], { env })
  t.equal(check.code, 1)
  t.match(check.out, told)
  t.match(check.out, /set backup-path to a directory on ext4, xfs or btrfs/)
  t.same(readdirSync(folder).sort(), ['disk'], 'check leaves nothing behind')
  t.same(readdirSync(disk), [])

  const server = await startServer(t, { root, args: ['--host', '127.0.0.1', ...args], env })
  const { plugins } = await server.status()
  t.match(
    plugins.find(({ name }) => name === 'backup'),
    { state: 'unavailable', message: told },
  )
  t.match(
    plugins.find(({ name }) => name === 'id'),
    { state: 'running' },
    'laptops register',
  )
  t.equal((await server.stop()).code, 0)
})

t.test('a directory of backups in which something belongs to another user is named', async (t) => {
  if (process.getuid?.() !== 0) return lacks(t, 'a file of another user', 'only root makes one')
  const folder = await temporaryDirectory(t)
  const args = [
    '--root',
    join(folder, 'root'),
    ...(await settings()),
    '--backup-path',
    join(folder, 'backup'),
  ]
  const check = () => cli(t, ['check', ...args, '--plugins', 'id,backup'])
  t.match(await check(), { code: 0 }, 'one that is not there yet is made')
  mkdirSync(join(folder, 'backup', 'live', 'uid'), { recursive: true })
  t.match(await check(), { code: 0 })
  chownSync(join(folder, 'backup', 'live', 'uid'), 65534, 65534)
  const { code, out } = await check()
  t.equal(code, 1)
  t.match(out, /backup-path: .*\/backup\/live\/uid belongs to another user \(uid 65534\)/)
  t.match(out, /chown -R 0 .*\/backup/)
})
