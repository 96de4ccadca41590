import fc from 'fast-check'
import t from 'tap'
import { RequestError } from '../../../../core/api.js'
import { type Opening, OpeningReader } from '../../../../plugins/rsync/front/opening.js'
import { runs } from '../../../support/rounds.js'

/** Reads bytes that come in pieces of these sizes, the last one again and again. */
function read(bytes: Buffer, sizes: readonly number[] = [bytes.length || 1]): Opening | undefined {
  const reader = new OpeningReader()
  let at = 0
  for (let turn = 0; at < bytes.length; turn += 1) {
    const size = sizes[Math.min(turn, sizes.length - 1)] ?? 1
    const opening = reader.read(bytes.subarray(at, at + size))
    at += size
    if (opening !== undefined) {
      return { ...opening, rest: Buffer.concat([opening.rest, bytes.subarray(at)]) }
    }
  }
  return undefined
}

const refused = (text: string): string => {
  try {
    return `read as ${read(Buffer.from(text, 'latin1'))?.wanted}`
  } catch (error) {
    if (!(error instanceof RequestError)) throw error
    return error.message
  }
}

const digest = fc.constantFrom('sha512', 'sha256', 'sha1', 'md5', 'md4')
const greeting = fc.oneof(
  fc.tuple(fc.integer({ min: 20, max: 29 }), fc.constant('')),
  fc.tuple(fc.integer({ min: 20, max: 31 }), fc.constant('.0')),
  fc.tuple(
    fc.integer({ min: 30, max: 99 }),
    fc.array(digest, { minLength: 1, maxLength: 6 }).map((names) => `.0 ${names.join(' ')}`),
  ),
)
const module = fc.stringMatching(/^[A-Za-z0-9][A-Za-z0-9._+-]{0,69}$/)
const early = fc.option(fc.uint8Array({ minLength: 1, maxLength: 5120 }), { nil: undefined })

t.test('what a client says is understood, however it is cut into pieces', async (t) => {
  fc.assert(
    fc.property(
      greeting,
      early,
      module,
      fc.uint8Array({ maxLength: 100 }),
      fc.array(fc.integer({ min: 1, max: 3000 }), { minLength: 1, maxLength: 20 }),
      fc.constantFrom('\n', '\r\n'),
      ([protocol, more], input, name, rest, sizes, end) => {
        const lines = [Buffer.from(`@RSYNCD: ${protocol}${more}${end}`)]
        if (input !== undefined) lines.push(Buffer.from(`#early_input=${input.length}\n`), Buffer.from(input))
        lines.push(Buffer.from(`${name}${end}`))
        const said = Buffer.concat(lines)
        const opening = read(Buffer.concat([said, rest]), sizes)
        t.matchOnly(opening, {
          protocol,
          subprotocol: Number(/^\.(\d+)/.exec(more)?.[1] ?? 0),
          wanted: name,
          said,
          rest: Buffer.from(rest),
        })
      },
    ),
    runs(300),
  )
})

t.test('whatever comes, it is understood, waited for or refused', async () => {
  const piece = fc.oneof(
    fc.constantFrom(
      '@RSYNCD: ',
      '29',
      '30.0',
      '32.0 sha1',
      '\n',
      '\0',
      '\r',
      '#early_input=',
      '5',
      '#list',
      'x',
    ),
    fc.string({ unit: 'binary', maxLength: 2000 }),
  )
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 30 }), fc.integer({ min: 1, max: 500 }), (pieces, size) => {
      try {
        read(Buffer.from(pieces.join(''), 'latin1'), [size])
      } catch (error) {
        if (!(error instanceof RequestError)) throw error
      }
    }),
    runs(2000),
  )
})

t.test('a greeting that no rsync says is refused', async (t) => {
  for (const line of [
    'GET / HTTP/1.1',
    '@RSYNCD: ',
    '@RSYNCD: x',
    '@RSYNCD: 30',
    '@RSYNCD: 31',
    '@RSYNCD: 32.0',
    '@RSYNCD: 32 sha1',
    '@RSYNCD: 3000.0',
    '@RSYNCD: 29.',
    '@RSYNCD: -1',
    '@RSYNCD: 32.0 sha1 \u0001',
    `@RSYNCD: 32.0 ${'x'.repeat(2000)}`,
    ' @RSYNCD: 29',
    '',
    'a\0b',
  ]) {
    t.equal(refused(`${line}\nfilms\n`), 'protocol startup error', line.slice(0, 40))
  }
})

t.test('nothing is waited for without end', async (t) => {
  t.equal(refused('x'.repeat(1025)), 'protocol startup error')
  t.equal(refused(`@RSYNCD: 29\n${'x'.repeat(1025)}`), 'protocol startup error')
  t.equal(refused(`@RSYNCD: 29\n${'x'.repeat(1024)}\n`), 'protocol startup error')
  t.equal(refused(`@RSYNCD: 29\n${'x'.repeat(1023)}\n`), `read as ${'x'.repeat(1023)}`)
  t.equal(refused('@RSYNCD: 29\na\0b\n'), 'protocol startup error')
  t.equal(refused('@RSYNCD: 29\nfilm'), 'read as undefined')
})

t.test('early input is bounded as rsync bounds it, and comes once', async (t) => {
  for (const length of ['0', '5121', '-1', '5x', '', '99999999999999', '1e3', '0x5']) {
    t.equal(refused(`@RSYNCD: 29\n#early_input=${length}\nabcde`), 'invalid early_input length', length)
  }
  t.equal(refused('@RSYNCD: 29\n#early_input=5\na\n\0bcfilms\n'), 'read as films')
  t.equal(refused('@RSYNCD: 29\n#early_input=1\na#early_input=1\n'), 'read as #early_input=1')
})
