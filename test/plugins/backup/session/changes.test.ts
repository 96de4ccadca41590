import { appendFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import t, { type Test } from 'tap'
import { Changes } from '../../../../plugins/backup/session/changes.js'
import { runs } from '../../../support/rounds.js'

function logFile(t: Pick<Test, 'teardown'>): string {
  const folder = mkdtempSync(join(tmpdir(), 'sugar-changes-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  return join(folder, 'log')
}

const figures = ({ count, newFiles, bytes }: Changes) => ({ count, newFiles, bytes })

t.test('what rsync did is counted, and what it only says is not', async (t) => {
  const log = logFile(t)
  const changes = new Changes(log)
  changes.read()
  t.same(figures(changes), { count: 0, newFiles: 0, bytes: 0 }, 'a log that is not there yet is empty')
  const lines = [
    ['receiving file list', 0, 0, 0],
    ['>f+++++++++ 1000', 1, 1, 1000],
    ['>f.st...... 500', 1, 0, 500],
    ['cd+++++++++ 4096', 1, 1, 0],
    ['cL+++++++++ 7', 1, 1, 0],
    ['.d..t...... 4096', 1, 0, 0],
    ['*deleting   0', 1, 0, 0],
    ['sent 100 bytes  received 2000 bytes  total size 1500', 0, 0, 0],
    ['rsync: [receiver] >f+++++++++ 5: No space left on device (28)', 0, 0, 0],
  ] as const
  const all = { count: 0, newFiles: 0, bytes: 0 }
  for (const [line, count, files, bytes] of lines) {
    appendFileSync(log, `2026/11/20 10:11:12 [123] ${line}\n`)
    changes.read()
    all.count += count
    all.newFiles += files
    all.bytes += bytes
    t.same(figures(changes), all, line)
  }
  changes.read()
  t.same(figures(changes), all, 'nothing is counted twice')
})

t.test('a log is complete when rsync had the last word, and nothing after it', async (t) => {
  const log = logFile(t)
  const changes = new Changes(log)
  for (const [line, isComplete] of [
    ['receiving file list', false],
    ['sent 100 bytes  received 2,000 bytes  total size 1,500', true],
    ['>f+++++++++ 1000', false],
    ['sent 43 bytes  received 3000848 bytes  total size 3000000', true],
    ['rsync error: error in file IO (code 11) at main.c(792) [receiver=3.2.7]', false],
    ['sent 43 bytes  received 30', false],
  ] as const) {
    appendFileSync(log, `2026/11/20 10:11:12 [123] ${line}\n`)
    changes.read()
    t.equal(changes.isComplete, isComplete, line)
  }
  appendFileSync(log, '2026/11/20 10:11:12 [123] sent 43 bytes  received 3 bytes  total size 30')
  changes.read()
  t.notOk(changes.isComplete, 'a line that was cut')
})

t.test('wherever a log is cut while it is written, the sum is the same', async (t) => {
  const line = fc.oneof(
    fc.nat({ max: 10_000 }).map((length) => ({ text: `>f+++++++++ ${length}`, bytes: length })),
    fc.nat({ max: 10_000 }).map((length) => ({ text: `.f...p..... ${length}`, bytes: 0 })),
  )
  fc.assert(
    fc.property(
      fc.array(line, { maxLength: 20 }),
      fc.array(fc.nat({ max: 600 }), { maxLength: 5 }),
      (lines, cuts) => {
        const log = logFile({ teardown: () => undefined })
        try {
          const text = lines.map((one) => `2026/11/20 10:11:12 [9] ${one.text}\n`).join('')
          const changes = new Changes(log)
          writeFileSync(log, '')
          let from = 0
          for (const cut of [...cuts.sort((a, b) => a - b), text.length]) {
            appendFileSync(log, text.slice(from, Math.max(from, cut)))
            from = Math.max(from, cut)
            changes.read()
          }
          const bytes = lines.reduce((sum, one) => sum + one.bytes, 0)
          return changes.count === lines.length && changes.bytes === bytes
        } finally {
          rmSync(join(log, '..'), { recursive: true, force: true })
        }
      },
    ),
    runs(50),
  )
  t.pass('it is')
})
