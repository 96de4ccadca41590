import { copyFileSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import t, { type Test } from 'tap'
import { isTornTail } from '../../../plugins/keyring/audit/torn-tail.js'
import { entry, filled, head, log, opened, verdictOf } from '../../support/keyring/filled-audit.js'
import { runs } from '../../support/rounds.js'

t.setTimeout(200_000)

const block = 4096
const told = 5

/** A log of some lines that were told, and one batch more of which nobody was: as it would be on the disk in the end. */
async function underWay(t: Test, lines = 40) {
  const { folder, audit } = await filled(t, told)
  await audit.close()
  const before = readFileSync(log(folder))
  copyFileSync(head(folder), join(folder, 'head.before'))
  const again = await opened(t, folder)
  await Promise.all(Array.from({ length: lines }, (_, n) => again.append(entry(`act01 batch ${n}`))))
  await again.close()
  const whole = readFileSync(log(folder))
  /** Leaves this in the place of the log, with the note of its end as it was before the batch. */
  const leave = (bytes: Buffer) => {
    writeFileSync(log(folder), bytes)
    copyFileSync(join(folder, 'head.before'), head(folder))
  }
  return { folder, from: before.length, whole, leave }
}

/** What a power cut leaves of a file: some blocks, zeros for the others, up to some length. */
function torn(whole: Buffer, from: number, lost: ReadonlySet<number>, length: number): Buffer {
  const bytes = Buffer.from(whole.subarray(0, length))
  const within = (at: number) => Math.min(Math.max(from, at), length)
  for (const one of lost) bytes.fill(0, within(one * block), within((one + 1) * block))
  return bytes
}

t.test(
  'of a batch that the power cut, any blocks may be missing: what was told is there, and the log is whole',
  async (t) => {
    const { folder, from, whole, leave } = await underWay(t)
    const blocks = Math.ceil(whole.length / block)
    t.ok(blocks > 3)
    const states = fc.record({
      lost: fc.uniqueArray(fc.nat(blocks - 1)),
      length: fc.oneof(fc.constant(whole.length), fc.integer({ min: from, max: whole.length })),
    })
    await fc.assert(
      fc.asyncProperty(states, async ({ lost, length }) => {
        leave(torn(whole, from, new Set(lost), length))
        const audit = await opened(t, folder)
        const verdict = await audit.check()
        await audit.append(entry('act01 later'))
        const [last] = await audit.last(1)
        await audit.close()
        const later = await verdictOf(folder)
        return (
          verdict.broken === undefined &&
          verdict.lines >= told &&
          last?.what === 'act01 later' &&
          last.n === verdict.lines + 1 &&
          later.broken === undefined
        )
      }),
      runs(100),
    )
  },
)

t.test('what was cut off is told, once', async (t) => {
  const { folder, from, whole, leave } = await underWay(t)
  leave(torn(whole, from, new Set([Math.floor(from / block)]), whole.length))
  t.match((await opened(t, folder)).repairs, [/a power cut tore the end of the audit log/])
  t.same((await opened(t, folder)).repairs, [])
})

t.test(
  'zeros where no power cut leaves them, or with other lines behind, were written by somebody',
  async (t) => {
    const { folder, from, whole, leave } = await underWay(t)
    const next = Math.ceil((from + 1) / block) * block
    const zeros = (start: number, end: number) => Buffer.from(whole).fill(0, start, end)
    const cases: [string, Buffer][] = [
      ['zeros that begin within a block', zeros(from + 50, next)],
      ['zeros that end within a block', zeros(from, from + 100)],
      ['a single one', zeros(next + 30, next + 31)],
      ['zeros in what was told', zeros(0, next)],
      ['rubbish', Buffer.concat([whole.subarray(0, from), Buffer.from('rubbish\n'), whole.subarray(next)])],
      ['a line that was told, once more', Buffer.concat([zeros(from, next), whole.subarray(0, from)])],
      ['rubbish behind zeros', Buffer.concat([zeros(from, next), Buffer.from('rubbish\n')])],
      [
        'a line too many in front',
        Buffer.concat([whole.subarray(0, from), Buffer.from('x\n'), zeros(0, block)]),
      ],
    ]
    for (const [what, bytes] of cases) {
      leave(bytes)
      t.match(await verdictOf(folder), { broken: { what: /changed|cut off|removed|reordered/ } }, what)
      t.match(await verdictOf(folder), { broken: { line: /\d/ } }, `${what}: for good`)
    }
  },
)

t.test('whatever lies there, it is looked at without a fault', (t) => {
  const pieces = fc.oneof(
    fc.uint8Array({ maxLength: 700 }),
    fc.nat(2000).map((length) => new Uint8Array(length)),
    fc.string({ maxLength: 50 }).map((text) => Buffer.from(`${text}\n`)),
  )
  fc.assert(
    fc.property(fc.array(pieces, { maxLength: 8 }), fc.nat(9000), (parts, from) => {
      const tail = Buffer.concat(parts)
      const is = isTornTail(tail, from, { n: 3, hash: 'x' })
      return !is || tail.includes(0)
    }),
    runs(2000),
  )
  t.end()
})
