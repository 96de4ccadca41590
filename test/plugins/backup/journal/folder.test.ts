import { execFileSync } from 'node:child_process'
import {
  chmodSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import t from 'tap'
import { type Progress, writeFolder } from '../../../../plugins/backup/journal/folder.js'
import { bytesOf, staysInside } from '../../../../plugins/backup/journal/path.js'
import type { Row, Tree } from '../../../../plugins/backup/tree.js'
import { drawing, filesOf, putDatastore, song } from './journals.js'
import { treeOf, treeOfFiles, treeOfFolder } from './trees.js'

const folder = mkdtempSync(join(tmpdir(), 'sugar-folders-'))
t.teardown(() => rmSync(folder, { recursive: true, force: true }))

/** Every file and directory by `find`, contents by `sha256sum`, links left out. */
function listing(top: string): string {
  const find = ['-mindepth', '1', '!', '-type', 'l', '-printf', '%P|%y|%s|%#m\\0']
  const names = execFileSync('find', [top, ...find], { encoding: 'latin1' })
  const sums = execFileSync('find', ['.', '-type', 'f', '-exec', 'sha256sum', '-z', '{}', '+'], {
    cwd: top,
    encoding: 'latin1',
  })
  // A directory's size is the file system's business.
  const lines = names.split('\0').map((line) => line.replace(/\|d\|\d+\|/, '|d||').replace('|04755', '|0755'))
  return [...lines, ...sums.split('\0')].sort().join('\n')
}

const micros = (path: Buffer | string): bigint => lstatSync(path, { bigint: true }).mtimeNs / 1000n

t.test(
  'a Journal is written into a folder as it was, but for setuid bits and links that lead out',
  async (t) => {
    const source = join(folder, 'source')
    putDatastore(source)
    const told: Progress[] = []
    const target = join(folder, 'restored')
    const tree = treeOfFolder(source)
    const written = await writeFolder(tree, target, { progress: (progress) => told.push(progress) })

    t.equal(listing(target), listing(source))
    for (const { path, type } of tree.rows()) {
      if (type === 'link') continue
      const [was, is] = [source, target].map((top) =>
        micros(Buffer.concat([Buffer.from(`${top}/`), Buffer.from(path, 'latin1')])),
      )
      const off = (was ?? 0n) - (is ?? 0n)
      if (off < -1n || off > 1n) t.fail(`the time of ${path} is off by ${off} microseconds`)
    }
    t.equal(lstatSync(join(target, 'version')).mode & 0o7777, 0o755)
    t.equal(readlinkSync(join(target, 'index/inside')), '../version')
    t.equal(micros(join(target, 'index/inside')), 1_000_000_500_000n)
    const why = 'a symbolic link that leads out of the Journal'
    t.strictSame(written.skipped, [
      { path: 'absolute', why },
      { path: 'index/outside', why },
    ])
    t.throws(() => lstatSync(join(target, 'absolute')), { code: 'ENOENT' })
    t.throws(() => lstatSync(join(target, 'index/outside')), { code: 'ENOENT' })
    t.strictSame(told.at(-1), { files: written.files, bytes: written.bytes })
    t.equal(told.length, written.files)
  },
)

t.test('an empty folder is taken; anything else is refused and left alone', async (t) => {
  const tree = treeOfFiles(filesOf(song))
  mkdirSync(join(folder, 'empty'))
  await writeFolder(tree, join(folder, 'empty'))
  t.equal(readdirSync(join(folder, 'empty')).length, 1)

  writeFileSync(join(folder, 'file'), 'mine')
  symlinkSync(join(folder, 'elsewhere'), join(folder, 'link'))
  mkdirSync(join(folder, 'elsewhere'))
  for (const name of ['empty', 'file', 'link'])
    await t.rejects(writeFolder(tree, join(folder, name)), { code: 'REFUSED' })
  t.equal(readFileSync(join(folder, 'file'), 'utf8'), 'mine')
  t.equal(readdirSync(join(folder, 'elsewhere')).length, 0)
  await t.rejects(writeFolder(tree, join(folder, 'nowhere/deep')), { code: 'NOT_WRITABLE' })
})

t.test('what cannot be written whole is not there at all', async (t) => {
  const inside = join(folder, 'fails')
  mkdirSync(inside)
  const target = join(inside, 'target')
  const left = () => readdirSync(inside)
  const files = { ...filesOf(song), ...filesOf(drawing) }
  const path = `${drawing.uid.slice(0, 2)}/${drawing.uid}/data`
  await t.rejects(writeFolder(treeOfFiles(files, [path]), target), { code: 'DAMAGED' })
  t.strictSame(left(), [])

  const controller = new AbortController()
  const progress = ({ files }: Progress) => files === 3 && controller.abort(new Error('nobody waits'))
  await t.rejects(writeFolder(treeOfFiles(files), target, { signal: controller.signal, progress }), {
    message: 'nobody waits',
  })
  t.strictSame(left(), [])

  const common = { mode: 0o755, seconds: 0, nanos: 0 }
  const file = { type: 'file' as const, ...common, size: 4, content: Buffer.from('evil') }
  const evil: Row[][] = [
    [{ ...file, path: '../evil' }],
    [{ ...file, path: 'a/../../evil' }],
    [{ ...file, path: `${inside}/evil` }],
    [{ ...file, path: 'nul\0' }],
    [
      { type: 'link', path: 'a', ...common, target: '.' },
      { ...file, path: 'a/evil' },
    ],
    [
      { type: 'directory', path: 'a', ...common, mode: 0 },
      { type: 'link', path: 'a', ...common, target: '.' },
      { ...file, path: 'a/evil' },
    ],
  ]
  for (const rows of evil) {
    await t.rejects(writeFolder(treeOf(rows), target), Error)
    t.strictSame(left(), [])
  }
  const full: Tree = {
    ...treeOfFiles(files),
    // biome-ignore lint/correctness/useYield: a disk cannot be filled up here.
    async *pieces() {
      throw Object.assign(new Error('no space left on device'), { code: 'ENOSPC' })
    },
  }
  await t.rejects(writeFolder(full, target), { code: 'NO_SPACE' })
  t.strictSame(left(), [])
})

t.test('times before 1970 and modes that shut everybody out are kept', async (t) => {
  const common = { seconds: -86_400, nanos: 0 }
  const rows: Row[] = [
    { type: 'directory', path: '', mode: 0o700, ...common },
    { type: 'directory', path: 'shut', mode: 0, ...common },
    { type: 'file', path: 'shut/file', mode: 0, ...common, size: 1, content: Buffer.from('x') },
  ]
  const target = join(folder, 'shut')
  await writeFolder(treeOf(rows), target)
  for (const [path, mode] of [
    ['', 0o700],
    ['shut', 0],
    ['shut/file', 0],
  ] as const) {
    const stat = lstatSync(join(target, path))
    t.strictSame([stat.mode & 0o7777, stat.mtimeMs], [mode, -86_400_000], path)
    if (path === 'shut') chmodSync(join(target, path), 0o700)
  }
})

t.test('a link stays inside wherever its folder is, and however links are chained', async (t) => {
  for (const [path, target, inside] of [
    ['a', 'b', true],
    ['a/b', '../c/./d', true],
    ['a/b', '..', true],
    ['a', '.', true],
    ['a', '..', false],
    ['a/b/c', '../../..', false],
    ['a', '/b', false],
    ['a', '', false],
    ['a', 'b\0', false],
    ['a', 'b/../c', false],
  ] as const)
    t.equal(staysInside(path, target), inside, JSON.stringify([path, target]))
  const part = fc.constantFrom('..', '.', 'a', 'b', '')
  const parts = fc.array(part, { maxLength: 6 }).map((all) => all.join('/'))
  fc.assert(
    fc.property(parts, parts, (path, target) => {
      if (!staysInside(path, target)) return true
      const depth = path.split('/').length - 1
      return depth - target.split('/').filter((each) => each === '..').length >= 0
    }),
  )
  fc.assert(
    fc.property(parts, (path) => {
      const sound = path !== '' && path.split('/').every((each) => each === 'a' || each === 'b')
      try {
        bytesOf(path)
        return sound
      } catch {
        return !sound
      }
    }),
  )
})
