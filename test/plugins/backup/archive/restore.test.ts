import { execFileSync } from 'node:child_process'
import {
  existsSync,
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
import { createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { removeTree } from '../../../../core/unpack.js'
import { unfold } from '../../../../plugins/backup/archive/unfold.js'
import type { Row, Tree } from '../../../../plugins/backup/tree.js'
import { drawing, filesOf, putDatastore, song } from '../../../support/backup/datastore.js'
import { treeOf, treeOfFiles, treeOfFolder } from '../../../support/backup/memory-tree.js'
import {
  archivistOf,
  facts,
  learner,
  newArchive,
  quiet,
  restore,
  sentJournal,
} from '../../../support/backup/test-archive.js'
import { needs } from '../../../support/needs.js'

const folder = mkdtempSync(join(tmpdir(), 'sugar-restore-'))
t.teardown(() => removeTree(folder))

const write = (tree: Tree, to: string, entry?: string) => restore(tree, { to, entry }, quiet)

t.test(
  'a Journal comes back as it was, to the nanosecond, but for setuid and links that lead out',
  async (t) => {
    const source = join(folder, 'source')
    putDatastore(source)
    const to = join(folder, 'restored')
    const { skipped, files, bytes } = await write(treeOfFolder(source), to)
    t.strictSame(skipped, ['absolute', 'index/outside'])
    t.equal(readlinkSync(join(to, 'index/inside')), '../version')
    const wanted = facts(source).filter((fact) => !/^\.\/(absolute|index\/outside)\|/.test(fact))
    t.strictSame(
      facts(to),
      wanted.map((fact) => fact.replace('|f|4755|', '|f|755|')),
    )
    const all = execFileSync('find', [source, '-type', 'f', '-printf', '%s\n'], { encoding: 'utf8' })
    const sizes = all.trim().split('\n').map(Number)
    t.strictSame([files, bytes], [sizes.length, sizes.reduce((sum, size) => sum + size)])
  },
)

t.test('an empty folder is taken; anything else is refused and left alone', async (t) => {
  const tree = treeOfFiles(filesOf(song))
  mkdirSync(join(folder, 'empty'))
  await write(tree, join(folder, 'empty'))
  t.equal(readdirSync(join(folder, 'empty')).length, 1)

  writeFileSync(join(folder, 'file'), 'mine')
  mkdirSync(join(folder, 'elsewhere'))
  symlinkSync(join(folder, 'elsewhere'), join(folder, 'link'))
  for (const name of ['empty', 'file', 'link'])
    await t.rejects(write(tree, join(folder, name)), { code: 'REFUSED' }, name)
  t.equal(readFileSync(join(folder, 'file'), 'utf8'), 'mine')
  t.equal(readdirSync(join(folder, 'elsewhere')).length, 0)
  for (const name of ['nowhere/deep', 'file/deep', 'nowhere/deep.xob', 'file/deep.xob'])
    await t.rejects(write(tree, join(folder, name)), { code: 'NOT_WRITABLE' }, name)
  for (const name of ['file.xob', 'file.xoj']) {
    writeFileSync(join(folder, name), 'mine')
    await t.rejects(write(tree, join(folder, name), name === 'file.xoj' ? song.uid : undefined), {
      code: 'REFUSED',
    })
    t.equal(readFileSync(join(folder, name), 'utf8'), 'mine')
  }
  await t.rejects(write(tree, join(folder, 'x.xoj')), { code: 'USAGE' })
  await t.rejects(write(tree, join(folder, 'x.xob'), song.uid), { code: 'USAGE' })
  await t.rejects(write(tree, join(folder, 'x.xoj'), drawing.uid), { code: 'NOT_FOUND' })
  await t.rejects(write(tree, join(folder, 'x'), drawing.uid), { code: 'NOT_FOUND' })
  t.notOk(
    readdirSync(folder).some((name) => name.startsWith('.')),
    'nothing lies about',
  )
})

t.test('what cannot be written whole is not there at all', async (t) => {
  const inside = join(folder, 'fails')
  mkdirSync(inside)
  const to = join(inside, 'target')
  const left = () => readdirSync(inside)
  const files = { ...filesOf(song), ...filesOf(drawing) }
  const path = `${drawing.uid.slice(0, 2)}/${drawing.uid}/data`
  for (const [name, entry] of [['target'], ['target.xob'], ['target.xoj', drawing.uid]] as const) {
    await t.rejects(write(treeOfFiles(files, [path]), join(inside, name), entry), { code: 'DAMAGED' }, name)
    t.strictSame(left(), [])
  }

  let steps = 0
  const impatient = {
    step() {
      steps += 1
      if (steps === 3) throw new Error('nobody waits')
    },
  }
  await t.rejects(restore(treeOfFiles(files), { to }, impatient), { message: 'nobody waits' })
  t.strictSame(left(), [])

  const common = { mode: 0o755, seconds: 0, nanos: 0 }
  const file = { type: 'file' as const, ...common, size: 4, content: Buffer.from('evil') }
  const evil: Row[][] = [
    [{ ...file, path: '../evil' }],
    [{ ...file, path: '/etc/evil' }],
    [{ ...file, path: 'a/../../evil' }],
    [{ ...file, path: 'short', size: 5 }],
    [{ ...file, path: 'long', size: 3 }],
  ]
  for (const rows of evil) {
    await t.rejects(write(treeOf(rows), to), { code: 'DAMAGED' })
    t.strictSame(left(), [])
  }
  const through: Row[] = [
    { type: 'link', path: 'a', ...common, target: join(folder, 'elsewhere') },
    { ...file, path: 'a/file' },
  ]
  await t.rejects(
    unfold(treeOf(through), to, ({ target }) => target),
    { code: 'NOT_WRITABLE' },
  )
  t.notOk(existsSync(join(folder, 'elsewhere/file')), 'nothing is written through a link')
})

t.test('one entry comes back alone, whatever the layout of the Journal', async (t) => {
  const files = { ...filesOf(song), ...filesOf(drawing), version: '6' }
  const path = `${song.uid.slice(0, 2)}/${song.uid}`
  const names = (to: string) => execFileSync('find', ['.', '-type', 'f'], { cwd: to, encoding: 'utf8' })
  await write(treeOfFiles(files), join(folder, 'one'), song.uid)
  t.notMatch(names(join(folder, 'one')), drawing.uid)
  t.equal(readFileSync(join(folder, 'one', path, 'data'), 'utf8'), 'Había una vez')
  t.equal(lstatSync(join(folder, 'one', path)).mode & 0o777, 0o755, 'directories as they were')

  const below = Object.fromEntries(Object.entries(files).map(([name, file]) => [`datastore/${name}`, file]))
  await write(treeOfFiles(below), join(folder, 'below'), song.uid)
  t.equal(names(join(folder, 'below')).split('\n').length, names(join(folder, 'one')).split('\n').length)
  t.equal(lstatSync(join(folder, 'below/datastore')).mtimeMs, 1_700_000_000_123.456)

  const old = {
    [`store/${song.uid}`]: 'a',
    [`store/${song.uid}.metadata`]: '{}',
    [`store/preview/${song.uid}`]: 'p',
  }
  await write(treeOfFiles({ ...old, [`store/${drawing.uid}`]: 'b' }), join(folder, 'old'), song.uid)
  t.strictSame(
    names(join(folder, 'old')).trim().split('\n').sort(),
    Object.keys(old)
      .map((name) => `./${name}`)
      .sort(),
  )
})

t.test('a bundle of an entry tells which properties are lost', async (t) => {
  const path = `${song.uid.slice(0, 2)}/${song.uid}/metadata/tags`
  const tree = treeOfFiles(filesOf(song), [path])
  t.strictSame((await write(tree, join(folder, 'tags.xoj'), song.uid)).lost, ['tags'])
  t.strictSame((await write(treeOfFiles(filesOf(song)), join(folder, 'all.xoj'), song.uid)).lost, [])
})

t.test('a whole Journal as a bundle is the one that Sugar restores', async (t) => {
  if (!needs(t, 'tar', 'tar')) return
  const source = join(folder, 'bundle source')
  putDatastore(source)
  const to = join(folder, 'whole.xob')
  const { files } = await write(treeOfFolder(source), to)
  t.equal(lstatSync(to).mode & 0o777, 0o600)
  const list = execFileSync('tar', ['-tzf', to], { encoding: 'utf8' }).trim().split('\n')
  t.equal(list.filter((name) => !name.endsWith('/')).length, files)
  t.ok(list.every((name) => name.startsWith('home/olpc/.sugar/default/datastore')))
  rmSync(to)
})

t.test('a reader that leaves before the end does not end the process that keeps the archive', async (t) => {
  const layout = newArchive(t)
  const uid = learner(1)
  await sentJournal(layout, uid, 3, 0.01)
  const pids: number[] = []
  const archivist = archivistOf(t, layout, (pid) => pids.push(pid))
  await archivist.run('snapshot', { uid })
  const readers: Socket[] = []
  const socket = join(mkdtempSync(join(folder, 'reader-')), 'socket')
  const server = createServer({ pauseOnConnect: true }, (reader) => void readers.push(reader))
  t.teardown(() => server.close())
  await new Promise<void>((resolve) => server.listen(socket, resolve))
  // It fits into what the kernel keeps for the reader.
  t.match(await archivist.run('restore', { uid, to: 'new', socket }), { lost: [] })
  for (const reader of readers) reader.destroy()
  for (let turn = 0; turn < 10; turn += 1)
    t.match(await archivist.run('holdings', { uids: [uid] }), [{ uid }])
  t.equal(new Set(pids).size, 1)
})
