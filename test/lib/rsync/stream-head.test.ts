import fc from 'fast-check'
import t from 'tap'
import { RequestError, StreamHead, type StreamShape } from '../../../core/api.js'
import { choice, filterList, framed, int, pieces } from '../../support/core/rsync-streams.js'
import { runs } from '../../support/rounds.js'

const isUsual = fc
  .string({ unit: 'binary', minLength: 1, maxLength: 40 })
  .filter((text) => !text.includes('\0'))
const modifiers = fc.string({ unit: fc.constantFrom('/', '!', 'p', 'r', 's', 'x'), maxLength: 4 })
const harmless = fc
  .tuple(fc.constantFrom('+', '-'), modifiers, isUsual)
  .map(([sign, letters, pattern]) => Buffer.from(`${sign}${letters} ${pattern}`))
/** Rules by which rsync's server reads a file, in all the ways in which they can be written. */
const reading = fc
  .tuple(
    fc.constantFrom('.', ':', 'merge', 'dir-merge', '.,', ':,', 'merge,', 'dir-merge,'),
    fc.string({ unit: fc.constantFrom('-', '+', 'C', 'e', 'n', 'w', '/', 's', 'r', 'p', 'x'), maxLength: 4 }),
    fc.constantFrom(' ', '_'),
    fc.constantFrom('/etc/passwd', '../other', 'x', '.rsync-filter', ''),
  )
  .map((parts) => Buffer.from(parts.join('')))
const readingCvs = fc
  .tuple(fc.constantFrom('-', '+', 'exclude', '-,', 'include,'), fc.constantFrom('C', '/C', 'pC', 'C!'))
  .map((parts) => Buffer.from(parts.join('')))

interface Client {
  readonly shape: StreamShape
  readonly protocol: number
  /** What comes before the filter list. */
  readonly before: Buffer
  list(rules: readonly Buffer[]): Buffer
}

const client: fc.Arbitrary<Client> = fc
  .record({
    protocol: fc.integer({ min: 27, max: 32 }),
    saysIt: fc.boolean(),
    offered: fc.integer({ min: 30, max: 32 }),
    names: fc.array(fc.string({ unit: fc.constantFrom('m', 'd', '5', ' '), maxLength: 250 }), {
      maxLength: 2,
    }),
    lengths: fc.array(fc.integer({ min: 1, max: 60 }), { minLength: 1, maxLength: 4 }),
  })
  .map(({ protocol, saysIt, offered, names, lengths }) => ({
    protocol,
    shape: {
      ...{ offered, choices: names.length, filters: 'always', mostRules: 50 },
      ...(!saysIt && { agreed: protocol }),
    },
    before: Buffer.concat([...(saysIt ? [int(protocol)] : []), ...(protocol < 30 ? [] : names.map(choice))]),
    list: (rules) => (protocol < 30 ? filterList(rules) : framed(filterList(rules), lengths)),
  }))

const cuts = fc.array(fc.nat(), { maxLength: 20 })

/** @returns what was let through, and why it ended */
function judge(shape: StreamShape, chunks: readonly Buffer[]) {
  const head = new StreamHead(shape)
  const passed: Buffer[] = []
  try {
    for (const chunk of chunks) passed.push(head.take(chunk))
  } catch (error) {
    if (!(error instanceof RequestError)) throw error
    return { passed: Buffer.concat(passed), error, isOver: head.isOver }
  }
  return { passed: Buffer.concat(passed), error: undefined, isOver: head.isOver }
}

t.test('what a client sends goes through byte for byte, whatever pieces it comes in', async () => {
  const property = fc.property(
    client,
    fc.array(harmless, { maxLength: 20 }),
    fc.uint8Array({ maxLength: 300 }),
    cuts,
    ({ shape, before, list }, rules, after, at) => {
      const sent = Buffer.concat([before, list(rules), after])
      const { passed, error, isOver } = judge(shape, pieces(sent, at))
      return error === undefined && isOver && passed.equals(sent)
    },
  )
  fc.assert(property, runs(500))
})

t.test('a rule that reads files is refused in protocol 29 and up, and rsync sees none of it', async () => {
  const property = fc.property(
    client.filter(({ protocol }) => protocol >= 29),
    fc.array(harmless, { maxLength: 5 }),
    fc.oneof(reading, readingCvs),
    fc.array(harmless, { maxLength: 5 }),
    cuts,
    ({ shape, before, list }, good, bad, more, at) => {
      const upToBad = list(good).length - 4
      const sent = Buffer.concat([before, list([...good, bad, ...more])])
      const { passed, error, isOver } = judge(shape, pieces(sent, at))
      const isUnseen =
        sent.subarray(0, passed.length).equals(passed) && passed.length <= before.length + upToBad
      return error?.code === 'REFUSED' && !isOver && isUnseen && /is refused: it /.test(error.message)
    },
  )
  fc.assert(property, runs(500))
})

t.test('up to protocol 28 every rule is a pattern, and goes through', async () => {
  const property = fc.property(
    client.filter(({ protocol }) => protocol < 29),
    fc.array(fc.oneof(harmless, reading), { maxLength: 10 }),
    ({ shape, before, list }, rules) => {
      const some = rules.filter(({ length }) => length > 0)
      const sent = Buffer.concat([before, list(some)])
      return judge(shape, [sent]).passed.equals(sent)
    },
  )
  fc.assert(property, runs(200))
})

t.test('whatever comes, there is an end: bytes go through as they came, or nothing more does', async () => {
  const property = fc.property(client, fc.uint8Array({ maxLength: 5000 }), cuts, ({ shape }, bytes, at) => {
    const sent = Buffer.from(bytes)
    const { passed, error, isOver } = judge(shape, pieces(sent, at))
    const isHeldShort = error !== undefined || isOver || sent.length - passed.length <= 4096 + 200
    return sent.subarray(0, passed.length).equals(passed) && isHeldShort
  })
  fc.assert(property, runs(500))
})

t.test('what is too much, or is not rsync, is refused in words', async (t) => {
  const shape: StreamShape = { offered: 32, choices: 0, filters: 'always', mostRules: 2 }
  const rule = Buffer.from('- x')
  const told = (...parts: Buffer[]) => judge(shape, [Buffer.concat(parts)]).error?.message
  t.match(told(int(29), filterList([rule, rule, rule])), /more than 2 filter rules/)
  t.match(told(int(29), int(5000)), /too long/)
  t.match(told(int(0xffffffff)), /protocol -1 is not supported/)
  t.match(told(int(26)), /protocol 26 is not supported/)
  t.match(told(int(41)), /protocol 41 is not supported/)
  t.match(told(int(31), int((8 << 24) | 4), int(0)), /not that of an rsync client/)
  t.match(told(int(31), int(7 << 24)), /not that of an rsync client/)
  t.match(told(int(29), filterList([Buffer.from('-  ')])), undefined)
  t.match(told(int(29), filterList([Buffer.from('- ')])), /not a rule that an rsync client sends/)
  t.match(told(int(29), filterList([Buffer.from('- a\0b')])), /NUL/)
  t.match(
    told(int(29), filterList([Buffer.from('. /etc/passwd')])),
    /"\. \/etc\/passwd" is refused: it has the server read/,
  )
  t.match(told(int(29), filterList([Buffer.from(`. \u0007${'x'.repeat(500)}`)])), /\\\\u0007x{50,60}\.\.\."/)
})

t.test('a list is expected where the options say so', async (t) => {
  const bytes = (protocol: number) => Buffer.concat([int(protocol), filterList([Buffer.from('. x')])])
  const errors = (filters: StreamShape['filters'], protocol: number) =>
    judge({ offered: 32, choices: 0, filters, mostRules: 9 }, [bytes(protocol)]).error
  t.equal(errors('never', 29), undefined)
  t.equal(errors('from 29', 28), undefined)
  t.ok(errors('from 29', 29))
  t.ok(errors('always', 29))
})
