import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { Head } from '../../../plugins/keyring/audit/head.js'
import { temporaryDirectory } from '../../support/temporary-directory.js'

t.test('the first note of where the log ends is flushed, however young the process is', async (t) => {
  let now = 5
  t.intercept(performance, 'now', { value: () => now })
  const path = join(await temporaryDirectory(t), 'head')
  const { head, note } = await Head.open(path)
  t.teardown(() => head.close())
  t.equal(note, undefined)
  let flushes = 0
  const { file } = head
  const datasync = file.datasync.bind(file)
  file.datasync = () => {
    flushes += 1
    return datasync()
  }
  const at = (n: number) => ({ n, size: 300 * n, hash: '0'.repeat(64), newest: '' })
  await head.write(at(0))
  t.equal(flushes, 1)
  now = 900
  await head.write(at(1))
  t.equal(flushes, 1, 'a later one may be behind for a second')
  now = 1100
  await head.write(at(2))
  t.equal(flushes, 2)
  t.match(readFileSync(path, 'latin1'), /^0{15}2 /)
})
