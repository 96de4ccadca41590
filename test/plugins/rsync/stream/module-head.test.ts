import fc from 'fast-check'
import t from 'tap'
import { RequestError } from '../../../../core/api.js'
import { agreedProtocol } from '../../../../plugins/rsync/front/opening.js'
import { ModuleHead } from '../../../../plugins/rsync/stream/module-head.js'
import { refusalBytes } from '../../../../plugins/rsync/stream/refusal.js'
import { choice, filterList, framed, pieces } from '../../../support/core/rsync-streams.js'
import { runs } from '../../../support/rounds.js'

const rsync = { version: [3, 5, 0], protocol: 32 } as const

function judge(protocol: number, chunks: readonly Buffer[]) {
  const head = new ModuleHead({ protocol, rsync, module: 'films' })
  const passed: Buffer[] = []
  try {
    for (const chunk of chunks) passed.push(head.take(chunk))
  } catch (error) {
    if (!(error instanceof RequestError)) throw error
    return { passed: Buffer.concat(passed), error: error.message, isBegun: head.isBegun }
  }
  return { passed: Buffer.concat(passed), error: undefined, isBegun: head.isBegun }
}

/** Arguments as a client sends them. */
const lines = (protocol: number, words: readonly string[]): Buffer =>
  Buffer.from([...words, ''].map((word) => `${word}${protocol >= 30 ? '\0' : '\n'}`).join(''), 'latin1')

const usual = ['--server', '--sender', '-vlogDtpre.iLsfxCIvu', '--timeout=60']
const paths = ['.', 'films/a', 'films/b c']

/** What a client of some kind sends: arguments, algorithms, and rules. */
const client = fc
  .record({
    protocol: fc.integer({ min: 27, max: 32 }),
    more: fc.subarray([
      '-z',
      '--numeric-ids',
      '--files-from=-',
      '--from0',
      '--bwlimit=9',
      '--checksum-choice=md5',
    ]),
    rules: fc.array(fc.constantFrom('- *.o', '+ a', '-s x y', '-/p z'), { maxLength: 5 }),
    secluded: fc.boolean(),
  })
  .map(({ protocol, more, rules, secluded }) => {
    const words = [...usual, ...more]
    const list = [...(secluded ? [...words, '-s'] : words), ...paths]
    const second = secluded ? lines(32, ['rsync', '--stats', ...paths]) : Buffer.alloc(0)
    const names = [!more.includes('--checksum-choice=md5'), more.includes('-z')].filter(Boolean)
    const algorithms = protocol < 30 ? [] : names.map(() => choice('md5 md4'))
    const filters = filterList(rules.map((rule) => Buffer.from(rule)))
    return {
      protocol,
      start: Buffer.concat([lines(protocol, list), second]),
      stream: Buffer.concat([...algorithms, protocol < 30 ? filters : framed(filters, [50])]),
    }
  })

t.test('what a client sends goes through byte for byte, its arguments all at once', async () => {
  const property = fc.property(
    client,
    fc.array(fc.nat(), { maxLength: 10 }),
    fc.uint8Array(),
    ({ protocol, start, stream }, cuts, after) => {
      const sent = Buffer.concat([start, stream, after])
      const whole = judge(protocol, pieces(sent, cuts))
      const part = judge(protocol, [start.subarray(0, -1)])
      return (
        whole.error === undefined && whole.passed.equals(sent) && part.passed.length === 0 && !part.isBegun
      )
    },
  )
  fc.assert(property, runs(500))
})

t.test('whatever comes, it is bounded, and passes as it came or not at all', async () => {
  const word = fc.oneof(
    fc.string(),
    fc.constantFrom(...usual, ...paths, '-s', '-C', '--filter=. x', '\\.', '--'),
  )
  const property = fc.property(
    fc.integer({ min: 27, max: 32 }),
    fc.array(word, { maxLength: 12 }),
    fc.uint8Array({ maxLength: 200 }),
    (protocol, words, after) => {
      const sent = Buffer.concat([lines(protocol, words), Buffer.from(after)])
      const { passed } = judge(protocol, [sent])
      return passed.equals(sent.subarray(0, passed.length))
    },
  )
  fc.assert(property, runs(500))
  t.match(judge(29, [Buffer.alloc(5000, 'x')]).error, /too long/)
  t.match(judge(29, [Buffer.from('x\n'.repeat(600_000))]).error, /too long|unknown option/)
})

t.test(
  'arguments that have the server read a file, or that are not known, are refused in words',
  async (t) => {
    const refused = (...words: string[]) => judge(31, [lines(31, words)]).error
    const tried = (...words: string[]) => refused(...usual, ...words, ...paths)
    t.equal(tried(), undefined)
    for (const [word, name] of [
      ['-C', 'cvs-exclude \\(-C\\)'],
      ['-L', 'copy-links \\(-L\\)'],
      ['-k', 'copy-dirlinks \\(-k\\)'],
      ['--filter=. /etc/passwd', 'filter'],
      ['--filter', 'filter'],
      ['--exclude-from=/etc/passwd', 'exclude-from'],
      ['--include-from=x', 'include-from'],
      ['--files-from=/etc/passwd', 'files-from with a file of the server'],
      ['--files-from', 'files-from with a file of the server'],
      ['--copy-unsafe-links', 'copy-unsafe-links'],
      ['--log-file=/tmp/x', 'log-file'],
      ['--write-batch=x', 'write-batch'],
    ] as const) {
      t.match(tried(word), new RegExp(`configured to refuse --${name}`), word)
    }
    for (const word of [
      '--frobnicate',
      '--stats=x',
      '--bwlimit',
      '-Q',
      '-es',
      'x',
      '--',
      '-',
      '--fi\\lter=. x',
      '\\-C',
    ])
      t.match(tried(word), /unknown option/, word)
    t.match(tried('--temp-dir', '-C', '--sender'), undefined, 'the word that is its value')
    t.match(refused(...usual, '.', 'films/-C'), /begins like an option/)
    t.match(refused(...usual, '.', 'films/a films/--filter=x'), /begins like an option/)
    t.match(refused(...usual, '.', '--files-from=x'), /begins like an option/)
    t.match(refused('-z', ...usual, ...paths), /unknown option/, 'the first word, which rsync passes over')
    const secluded = (...words: string[]) =>
      judge(31, [Buffer.concat([lines(31, [...usual, '-s', '.']), lines(31, words)])]).error
    t.match(secluded('rsync', '-C', '.', 'films/a'), /cvs-exclude/)
    t.match(secluded('-z', '.', 'films/a'), /unknown option/)
  },
)

t.test('one who would send is left to rsync, which is read-only', async (t) => {
  const sent = Buffer.concat([
    lines(31, ['--server', '-re.iLsfxCIvu', '--delete', '.', 'films/']),
    Buffer.from('. x'),
  ])
  t.same(judge(31, [sent]).passed, sent)
})

t.test('the protocol is what both sides make of their greetings', async (t) => {
  t.equal(agreedProtocol(32, { protocol: 32, subprotocol: 0 }), 32)
  t.equal(agreedProtocol(32, { protocol: 30, subprotocol: 0 }), 30)
  t.equal(agreedProtocol(32, { protocol: 31, subprotocol: 14 }), 30)
  t.equal(agreedProtocol(32, { protocol: 32, subprotocol: 1 }), 31)
  t.equal(agreedProtocol(31, { protocol: 33, subprotocol: 1 }), 31)
})

t.test('a refusal is a message that clients of each protocol read', async (t) => {
  t.same(refusalBytes(31, 'no', true), Buffer.from('\x0a\0\0\x0arsync: no\n', 'latin1'))
  t.same(refusalBytes(29, 'no', true), Buffer.from('\x0a\0\0\x08rsync: no\n', 'latin1'))
  t.same(refusalBytes(31, 'no', false).subarray(0, 5), Buffer.from([0, 1, 1, 1, 1]))
  t.same(refusalBytes(29, 'no', false).subarray(0, 4), Buffer.from([1, 1, 1, 1]))
})
