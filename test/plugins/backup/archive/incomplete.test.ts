import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import t from 'tap'
import { incompleteBy } from '../../../../plugins/backup/archive/incomplete.js'
import { judge } from '../../../../plugins/backup/archive/keeping.js'
import { runs } from '../../../support/rounds.js'

const folder = mkdtempSync(join(tmpdir(), 'sugar-incomplete-'))
t.teardown(() => rmSync(folder, { recursive: true, force: true }))
const top = join(folder, 'top')
mkdirSync(join(top, 'a'), { recursive: true })
writeFileSync(join(top, 'a', 'here'), 'x')
const log = join(folder, 'log')

/** What is told of a log with these lines. */
function told(code: number, ...lines: string[]): string | undefined {
  writeFileSync(log, lines.map((line) => `2026/11/20 10:11:12 [9] ${line}\n`).join(''), 'latin1')
  return incompleteBy({ code, log }, top, 0)
}

t.test('what an exit code means, and which names the log has', async (t) => {
  t.equal(told(0, 'recv_generator(gone,1)'), undefined, 'all came')
  for (const code of [1, 11, 12, 20, 30]) t.equal(told(code), undefined, `${code} is no end`)
  t.match(told(25), /stopped at --max-delete/)
  t.match(told(24), /files went away on the laptop .* its next backup names them here/)
  t.match(told(23), /could not read some of its files/)
  const list = ['recv_generator(a,1)', 'recv_generator(a/here,2)', 'recv_generator(a/gone,3)']
  t.equal(told(23, ...list), 'the laptop did not send 1 file: a/gone')
  t.equal(
    told(23, ...list, 'generating and sending sums for 2'),
    'the laptop did not send 2 files: a/here, a/gone',
    'of one that is here an older content is',
  )
  t.equal(
    told(23, ...list, 'generating and sending sums for 2', '>f.st...... 5 a/here'),
    'the laptop did not send 1 file: a/gone',
  )
  t.match(
    told(23, ...list, 'skipping non-regular file "a/gone"'),
    /could not read some of its files/,
    'a fifo is not missed',
  )
  t.equal(
    told(23, `rsync: [receiver] mkstemp "${top}/a/.x.AbC" failed: Permission denied (13)`),
    'the server could not write 1 file: a/.x.AbC: Permission denied (13)',
  )
  const many = Array.from({ length: 30 }, (_, index) => `recv_generator(gone ${index},${index})`)
  t.match(told(23, ...many), /^the laptop did not send 30 files: gone 0, .*gone 7 and 22 more$/)
  t.equal(incompleteBy({ code: 0, expected: { bytes: 5, exactly: false } }, top, 9), undefined)
  t.match(incompleteBy({ code: 0, expected: { bytes: 5, exactly: true } }, top, 9), /could not send/)
  t.match(incompleteBy({ code: 0, expected: { bytes: 5, exactly: false } }, top, 4), /could not send/)
})

t.test('whatever a laptop calls its files, what is told is one line that fits into a header', async (t) => {
  const name = fc.oneof(
    fc.string({ unit: 'binary', maxLength: 300 }),
    fc.constantFrom('../../etc', '/etc', '..', 'a\nb'),
  )
  fc.assert(
    fc.property(
      fc.array(name, { maxLength: 20 }),
      fc.array(fc.string(), { maxLength: 5 }),
      (names, lines) => {
        const words =
          told(23, ...names.map((one, index) => `recv_generator(${one},${index})`), ...lines) ?? ''
        return (
          words !== '' && !/[\u0000-\u001f]/.test(words) && Buffer.byteLength(JSON.stringify(words)) < 3000
        )
      },
    ),
    runs(200),
  )
  t.pass('it is')
})

t.test('incomplete snapshots push out none that is complete', async (t) => {
  const rules = { last: 0, daily: 2, weekly: 0, monthly: 0 }
  const at = (id: string, incomplete = false) => ({ id, at: `2026-11-${id}:00:00.000Z`, incomplete })
  const kept = (...all: ReturnType<typeof at>[]) =>
    judge(all, rules)
      .filter(({ keep }) => keep)
      .map(({ id }) => id)
  t.same(kept(at('01T08'), at('02T08'), at('02T09', true), at('03T08'), at('03T09', true)), [
    '02T08',
    '03T08',
    '03T09',
  ])
  t.same(kept(at('01T08'), ...['05', '06', '07', '08'].map((day) => at(`${day}T08`, true))), [
    '01T08',
    '07T08',
    '08T08',
  ])
  t.same(kept(at('01T08', true), at('01T09', true)), ['01T09'], 'the only work there is stays')
})
