import { spawnSync } from 'node:child_process'
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { makeFolder, makeFolderSync, writeFileAtomic } from '../../core/api.js'
import { isFull } from '../../core/lib/disk-fault.js'
import { syncFileSystem, syncFileSystemSync } from '../../core/lib/sync-file-system.js'
import { needs } from '../support/needs.js'
import { temporaryDirectory } from '../support/temporary-directory.js'

const library = new URL('../../core/lib/durable-file.js', import.meta.url).href

/** What a program changes and flushes below a directory, in order: `mkdir a`, `fsync .`. */
async function changes(t: Test, folder: string, program: string): Promise<string[]> {
  const trace = join(await temporaryDirectory(t), 'trace')
  const calls = 'mkdir,mkdirat,openat,write,rename,renameat,renameat2,fsync,fdatasync'
  const source = `import { makeFolder, makeFolderSync, writeFileAtomic } from ${JSON.stringify(library)}\n${program}`
  const { status, stderr } = spawnSync(
    'strace',
    [
      ...['-f', '-y', '-o', trace, '-e', `trace=${calls}`],
      process.execPath,
      '--input-type=module',
      '-e',
      source,
    ],
    { encoding: 'utf8', cwd: folder, env: { ...process.env, UV_USE_IO_URING: '0' } },
  )
  if (status !== 0) throw new Error(stderr)
  const below = (path: string) => (path === folder ? '.' : path.slice(folder.length + 1))
  return readFileSync(trace, 'utf8')
    .split('\n')
    .flatMap((line) => {
      const [, call = '', rest = ''] = /^\d+ +(?:<\.\.\. )?(\w+)(?: resumed>|\()(.*) = \d+$/.exec(line) ?? []
      const path = /<([^>]*)>/.exec(rest)?.[1] ?? /"([^"]*)"/.exec(rest)?.[1] ?? ''
      if (call.startsWith('mkdir') && path.startsWith(folder)) return [`mkdir ${below(path)}`]
      if (/^f(data)?sync$/.test(call) && path.startsWith(folder)) return [`fsync ${below(path)}`]
      if (call.startsWith('rename'))
        return [`rename ${[...rest.matchAll(/"([^"]*)"/g)].map(([, one = '']) => below(one)).join(' ')}`]
      return []
    })
}

t.test('a directory is on the disk with those above it, each in the one that names it', async (t) => {
  if (!needs(t, 'strace', 'strace')) return
  for (const [name, call] of [
    ['waiting', 'makeFolderSync(process.cwd() + "/a/b/c")'],
    ['not waiting', 'await makeFolder(process.cwd() + "/a/b/c")'],
  ] as const) {
    const folder = await temporaryDirectory(t)
    const found = await changes(t, folder, call)
    t.same(found, ['mkdir a', 'fsync .', 'mkdir a/b', 'fsync a', 'mkdir a/b/c', 'fsync a/b'], name)
    t.equal(statSync(join(folder, 'a/b/c')).mode & 0o777, 0o700)
    t.same(await changes(t, folder, call), [], 'one that is there is left alone')
  }
})

t.test('a file is on the disk before it takes its place, and its place after', async (t) => {
  if (!needs(t, 'strace', 'strace')) return
  const folder = await temporaryDirectory(t)
  const found = await changes(t, folder, 'await writeFileAtomic(process.cwd() + "/file", ["new ", "words"])')
  t.same(found, ['fsync file.new', 'rename file.new file', 'fsync .'])
  t.equal(readFileSync(join(folder, 'file'), 'utf8'), 'new words')
})

t.test('a directory that is there, or is made by two at once, is none the worse', async (t) => {
  const folder = t.testdir({ there: {}, file: '' })
  makeFolderSync(join(folder, 'there'))
  await makeFolder(join(folder, 'there'))
  await Promise.all(Array.from({ length: 8 }, () => makeFolder(join(folder, 'a', 'b', 'c'))))
  t.ok(statSync(join(folder, 'a', 'b', 'c')).isDirectory())
  t.throws(() => makeFolderSync(join(folder, 'file')), { code: 'EEXIST' })
  await t.rejects(makeFolder(join(folder, 'file')), { code: 'EEXIST' })
  await t.rejects(makeFolder('/proc/nothing/here'), { code: 'ENOENT' })
  t.throws(() => makeFolderSync('/proc/nothing/here'), { code: 'ENOENT' })
})

t.test('of a file that cannot be written whole nothing is left, and the old one stays', async (t) => {
  const folder = t.testdir({ file: 'old' })
  const path = join(folder, 'file')
  async function* breaking() {
    yield 'half '
    throw new Error('the source broke off')
  }
  await t.rejects(writeFileAtomic(path, breaking()), { message: 'the source broke off' })
  t.equal(readFileSync(path, 'utf8'), 'old')
  t.same(readdirSync(folder), ['file'])
  writeFileSync(`${path}.new`, 'of a crash', { mode: 0o666 })
  await writeFileAtomic(path, Buffer.from('new'))
  t.equal(statSync(path).mode & 0o777, 0o600, 'what a crash left lends it nothing')
  await writeFileAtomic(path, 'newer', { mode: 0o640, part: join(folder, '.part') })
  t.same([readFileSync(path, 'utf8'), readdirSync(folder)], ['newer', ['file']])
  t.ok(isFull(Object.assign(new Error('full'), { code: 'EDQUOT' })))
  t.notOk(isFull(new Error('ENOSPC')))
})

t.test('a file system is flushed, and what goes wrong is told with the words of the system', async (t) => {
  const folder = t.testdir({})
  await syncFileSystem(folder)
  syncFileSystemSync(folder)
  const { PATH } = process.env
  t.teardown(() => {
    process.env.PATH = PATH
  })
  mkdirSync(join(folder, 'bin'))
  process.env.PATH = `${join(folder, 'bin')}:${PATH}`
  const sync = (text: string) => {
    writeFileSync(join(folder, 'bin', 'sync'), `#!/bin/sh\n${text}\n`)
    chmodSync(join(folder, 'bin', 'sync'), 0o755)
  }
  for (const [said, code] of [
    ['Input/output error', 'DISK_FAILING'],
    ['something else', 'NOT_WRITABLE'],
    ['No space left on device', 'NO_SPACE'],
    ['Disk quota exceeded', 'NO_SPACE'],
  ] as const) {
    sync(`echo "sync: error: ${said}" >&2; exit 1`)
    await t.rejects(syncFileSystem(folder), {
      code,
      ...(code === 'NOT_WRITABLE' && { message: new RegExp(said) }),
    })
    t.throws(() => syncFileSystemSync(folder), { code })
  }
  sync('head -c 10000000 /dev/zero | tr "\\\\0" x >&2; exit 3')
  await t.rejects(syncFileSystem(folder), { message: /^.{100,999}$/ })
  sync(`echo begun > ${join(folder, 'begun')}; exec sleep 1000`)
  const stop = new AbortController()
  const waiting = syncFileSystem(folder, stop.signal)
  while (!existsSync(join(folder, 'begun'))) await new Promise((resolve) => setTimeout(resolve, 10))
  stop.abort(new Error('too late'))
  await t.rejects(waiting, { message: 'too late' })
  await t.rejects(syncFileSystem(folder, stop.signal), { message: 'too late' })
})
