import { existsSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { chmod, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { remove } from '../../../../plugins/rsync/builds/removal.js'
import { temporaryDirectory } from '../../../support/temporary-directory.js'

t.setTimeout(300_000)

t.test('a tree goes with all it holds, and what its links lead to stays', async (t) => {
  const home = await temporaryDirectory(t)
  const beside = join(home, 'beside')
  mkdirSync(beside)
  writeFileSync(join(beside, 'kept'), 'kept')
  const tree = join(home, 'tree')
  mkdirSync(join(tree, 'a', 'b'), { recursive: true })
  writeFileSync(Buffer.concat([Buffer.from(`${tree}/a/b/`), Buffer.from([0xff, 0xfe, 10])]), '')
  symlinkSync(beside, join(tree, 'a', 'link'))
  symlinkSync('nowhere', join(tree, 'dangling'))
  for (let number = 0; number < 1000; number += 1) writeFileSync(join(tree, `${number}`), '')
  await remove(tree, new AbortController().signal)
  t.notOk(existsSync(tree))
  t.same(await readdir(beside), ['kept'])
  await remove(tree, new AbortController().signal)
})

t.test('a directory that shuts everybody out goes, too', async (t) => {
  const tree = join(await temporaryDirectory(t), 'tree')
  mkdirSync(join(tree, 'shut', 'in'), { recursive: true })
  await chmod(join(tree, 'shut'), 0)
  await remove(tree, new AbortController().signal)
  t.notOk(existsSync(tree))
})

t.test('who stops waits for no large tree: the rest is left', async (t) => {
  const tree = join(await temporaryDirectory(t), 'tree')
  mkdirSync(tree)
  for (let number = 0; number < 5000; number += 1) writeFileSync(join(tree, `${number}`), '')
  const stop = new AbortController()
  const going = remove(tree, stop.signal)
  setImmediate(() => stop.abort())
  await going
  const left = (await readdir(tree)).length
  t.ok(left > 0, 'it did not go on')
  await remove(tree, new AbortController().signal)
  t.notOk(existsSync(tree), 'the next one ends it')
})
