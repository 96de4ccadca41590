import '../../../support/unprivileged.js'
import { execFileSync } from 'node:child_process'
import { chmodSync, mkdtempSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { removeTree } from '../../../../core/unpack.js'
import { jobsOf } from '../../../../plugins/backup/archive/jobs.js'
import { Objects } from '../../../../plugins/backup/archive/objects.js'
import { Shelf } from '../../../../plugins/backup/archive/shelf.js'
import { SnapshotTree } from '../../../../plugins/backup/archive/snapshot-tree.js'
import type { Row, Tree } from '../../../../plugins/backup/tree.js'
import { treeOf } from '../../../support/backup/memory-tree.js'
import {
  journalOf,
  learner,
  newArchive,
  put,
  quiet,
  restore,
  snapshot,
} from '../../../support/backup/test-archive.js'

const ana = learner(1)
const write = (tree: Tree, to: string) => restore(tree, { to }, quiet)

t.test('times before 1970 and beyond 2242, and modes that shut everybody out, are kept', async (t) => {
  const shut = mkdtempSync(join(tmpdir(), 'sugar-restore-'))
  t.teardown(() => removeTree(shut))
  const x = { size: 1, content: Buffer.from('x') }
  const rows: Row[] = [
    { type: 'directory', path: '', mode: 0o700, seconds: -86_400, nanos: 1 },
    { type: 'directory', path: 'shut', mode: 0, seconds: 8_600_000_000, nanos: 5 },
    { type: 'file', path: 'shut/file', mode: 0, seconds: -1, nanos: 999_999_999, ...x },
    { type: 'file', path: `shut/${'n'.repeat(200)}`, mode: 0o600, seconds: 2 ** 33, nanos: 7, ...x },
  ]
  await write(treeOf(rows), join(shut, 'target'))
  const found = (...words: string[]) =>
    execFileSync('find', [...words, '-printf', '%f %#m %T@\n'], { encoding: 'latin1' })
      .trim()
      .split('\n')
      .sort()
  t.strictSame(found(join(shut, 'target'), '-maxdepth', '1'), [
    'shut 0 8600000000.0000000050',
    'target 0700 -86400.0000000010',
  ])
  chmodSync(join(shut, 'target/shut'), 0o700)
  t.strictSame(found(join(shut, 'target/shut'), '-type', 'f'), [
    'file 0 -1.9999999990',
    `${'n'.repeat(200)} 0600 8589934592.0000000070`,
  ])
  chmodSync(join(shut, 'target/shut'), 0)
  const damaged = [
    ...rows,
    { type: 'file' as const, path: 'zz', mode: 0, seconds: 0, nanos: 0, size: 2, content: Buffer.from('x') },
  ]
  await t.rejects(write(treeOf(damaged), join(shut, 'damaged')), { code: 'DAMAGED' })
  await removeTree(join(shut, 'target'))
  t.strictSame(readdirSync(shut), [], 'what shuts its owner out can be removed as well')
})

t.test('modes that shut everybody out are no obstacle to a server that is not root', async (t) => {
  const layout = newArchive(t)
  const content = execFileSync('head', ['-c', '100000', '/dev/urandom'])
  const journal = journalOf(layout, ana)
  put(journal, 'small', 'x')
  put(journal, 'picture', content)
  put(journal, 'text', Buffer.alloc(100_000, 'soft'))
  put(journal, 'later', Buffer.concat([content, content]))
  put(journal, 'shut/inside', 'inside')
  for (const name of ['small', 'picture', 'text', 'shut']) chmodSync(join(journal, name), 0)
  const { header } = await snapshot(layout, ana)
  t.equal(header.files, 5)
  chmodSync(join(journal, 'later'), 0)
  const again = await snapshot(layout, ana)
  t.equal(again.fresh, true)
  t.equal(statSync(join(journal, 'picture')).mode & 0o777, 0, 'and stay as they were')
  const tree = new SnapshotTree(
    new Objects(layout.objects),
    new Shelf(layout, ana).read(again.header.id),
    'datastore-current',
  )
  const to = join(layout.root, 'restored')
  await restore(tree, { to }, quiet)
  t.equal(statSync(join(to, 'later')).mode & 0o777, 0)
  chmodSync(join(to, 'picture'), 0o600)
  t.ok(readFileSync(join(to, 'picture')).equals(content))
  chmodSync(journal, 0o555)
  await snapshot(layout, ana)
  const laid = join(layout.root, 'laid/out')
  await jobsOf(layout).layOut({ uid: ana, to: laid }, quiet)
  t.equal(statSync(laid).mode & 0o777, 0o555, 'the top too')
  t.strictSame(readdirSync(layout.scratch), [])
  for (const folder of [laid, journal]) chmodSync(folder, 0o755)
})
