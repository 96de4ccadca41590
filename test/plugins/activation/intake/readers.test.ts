import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import t from 'tap'
import { recognise } from '../../../../plugins/activation/intake/kind.js'
import { readLaptops, readSerials } from '../../../../plugins/activation/intake/laptops.js'
import { readLeases } from '../../../../plugins/activation/intake/leases.js'
import { lines, mostLines } from '../../../../plugins/activation/intake/lines.js'
import { type Shape, shapeOf } from '../../../../plugins/activation/intake/shape.js'
import { mostLaptops } from '../../../../plugins/activation/roll/entry.js'
import { writeCsv } from '../../../../plugins/id/csv.js'
import { longestLine, parseLease } from '../../../../plugins/keyring/public.js'
import { laptop, leaseOf } from '../../../support/activation/activation-school.js'
import { bundleOf } from '../../../support/activation/import-files.js'
import { watchTurns } from '../../../support/longest-turn.js'
import { runs } from '../../../support/rounds.js'

t.setTimeout(300_000)

const vectors = join(process.cwd(), 'test', 'vectors', 'bios-crypto')
const vector = (path: string): Buffer => readFileSync(join(vectors, path))

const notBlank = (text: string): string[] => text.split(/\r\n|\r|\n/).filter((line) => line.trim() !== '')

/** Text as files have it: words of laptops and leases, cut and glued with whatever separates them. */
const pieces = fc.oneof(
  fc.constantFrom(
    '\n',
    '\r\n',
    '\r',
    ',',
    ';',
    '\t',
    ' ',
    '"',
    '""',
    "'",
    'act01: ',
    'del01: ',
    '[1,{',
    'SN',
    'uuid',
  ),
  fc.integer({ min: 1, max: 5 }).map((n) => laptop(n).serial),
  fc.integer({ min: 1, max: 5 }).map((n) => laptop(n).serial.toLowerCase()),
  fc.integer({ min: 1, max: 5 }).map((n) => laptop(n).uuid),
  fc.string({ unit: 'binary', maxLength: 12 }),
  fc.constantFrom('x'.repeat(longestLine), 'x'.repeat(longestLine + 1), '"'.repeat(longestLine - 1)),
)
const anyText = fc.array(pieces, { maxLength: 60 }).map((parts) => parts.join(''))

t.test('lines are numbered as an editor numbers them, whatever ends them', async (t) => {
  fc.assert(
    fc.property(anyText, (any) => {
      // As it comes out of a file: halves of characters do not.
      const text = Buffer.from(any).toString()
      const all = text.split(/\r\n|\r|\n/)
      for (const { number, text: line } of lines(Buffer.from(text))) {
        const expected = all[number - 1] ?? ''
        if (line === undefined) t.ok(Buffer.byteLength(expected) > longestLine)
        else if (!expected.includes('\ufffd') && line !== expected.replace(/^\ufeff/, ''))
          t.equal(line, expected)
      }
      const short = notBlank(text).length
      return [...lines(Buffer.from(text))].length === short
    }),
  )
})

t.test(
  'each line of a file of leases is a lease or refused, and nothing makes the reader throw',
  async () => {
    const good = leaseOf(laptop(1).serial, laptop(1).uuid, '20300101T000000Z')
    const bent = fc
      .tuple(fc.nat(good.length - 1), fc.constantFrom('', ' ', 'x', '0', '\t', 'Z'))
      .map(([at, other]) => good.slice(0, at) + other + good.slice(at + 1))
    const file = fc
      .array(fc.oneof(bent, fc.constant(good), pieces), { maxLength: 12 })
      .map((parts) => `act01: \n${parts.join('\n')}`)
    await fc.assert(
      fc.asyncProperty(file, async (text) => {
        const { found, refusals } = await readLeases(Buffer.from(text))
        for (const { text: line } of found) parseLease(line)
        return found.length + refusals.count === notBlank(text).length
      }),
    )
  },
)

t.test('each member of a bundle is a lease or refused', async (t) => {
  const member = fc.oneof(
    fc.integer({ min: 1, max: 3 }).map((n) => leaseOf(laptop(n).serial, laptop(n).uuid, '20300101T000000Z')),
    fc.string({ maxLength: 20 }).filter((text) => text.trim() !== '' && !/[\r\n]/.test(text)),
  )
  await fc.assert(
    fc.asyncProperty(fc.array(member, { minLength: 1, maxLength: 3 }), async (members) => {
      const bundle = bundleOf(Object.fromEntries(members.map((line, n) => [laptop(n + 1).serial, line])))
      const { found, refusals } = await readLeases(Buffer.from(bundle))
      for (const { line, serial } of [...found, ...refusals.first]) {
        if (serial !== laptop(line).serial)
          t.equal(serial, laptop(line).serial, 'it is in the line that is told')
      }
      return found.length + refusals.count === members.length
    }),
    runs(30),
  )
})

t.test(
  'each row of a list is a laptop, a repetition or refused, and nothing makes the reader throw',
  async () => {
    const shapes: Shape[] = [
      { form: 'words' },
      { form: 'csv', delimiter: ',' },
      { form: 'csv', delimiter: ';' },
      { form: 'csv', delimiter: ',', heading: { serial: 1, uuid: 2, school: 0 } },
    ]
    await fc.assert(
      fc.asyncProperty(anyText, fc.constantFrom(...shapes), async (text, shape) => {
        const { found, repeated, refusals } = await readLaptops(Buffer.from(text), shape)
        const rows = found.length + repeated + refusals.count
        const heading = shape.form === 'csv' && shape.heading !== undefined && text.trim() !== '' ? 1 : 0
        const own = new Set(found.map(({ serial }) => serial))
        if (own.size !== found.length) return false
        // A cell in quotes may hold line ends, and a cell several serials; without them a row is a line.
        return /["\t ]/.test(text) || rows === notBlank(text).length - heading
      }),
      runs(300),
    )
  },
)

t.test('each line of a list of serials is one, a repetition or refused', async () => {
  await fc.assert(
    fc.asyncProperty(anyText, async (text) => {
      const { found, repeated, refusals } = await readSerials(Buffer.from(text))
      return found.length + repeated + refusals.count === notBlank(text).length
    }),
  )
})

t.test('what a file is, is seen without reading it whole, and never by guess', async (t) => {
  fc.assert(
    fc.property(anyText, fc.string(), (text, name) => {
      recognise(name, Buffer.from(text))
      return true
    }),
  )
  const [one] = [laptop(1)]
  const kind = (name: string, content: string | Buffer) => recognise(name, Buffer.from(content))?.kind
  t.equal(kind('leases.sig', vector('leases/multi.sig')), 'leases')
  t.equal(kind('renamed.txt', vector('leases/multi.sig')), 'leases')
  t.equal(kind('leases.sig', '# mine\n'), 'leases', 'its name says what it should be')
  t.equal(kind('x', vector('cjson/leases.cjson')), 'leases')
  t.equal(kind('x', `\ufeff${vector('cjson/leases.cjson').toString('latin1')}`), 'leases')
  t.equal(kind('anything', vector('delegations/d-lease.sig')), 'delegations')
  t.equal(kind('LEASE.SIG', '\n'), 'leases')
  t.equal(kind('STOLEN.LIST', `${one.serial}\n`), 'stolen')
  t.equal(kind('laptops.dat', 'owl'), 'laptops')
  t.equal(kind('x.csv', vector('laptops.csv')), 'laptops')
  t.equal(kind('x', `\r\n\r\n"${one.serial}"\r\n`), 'laptops')
  for (const content of [
    '',
    '\n',
    'owl',
    '[{"uid": "x"}]',
    'dev01: x',
    one.uuid,
    'a,b,c',
    Buffer.alloc(500, 7),
  ])
    t.equal(kind('x', content), undefined, String(content).slice(0, 20))
})

t.test('lists of laptops are read in every form that the field has', async (t) => {
  const [one, two] = [laptop(1), laptop(2)]
  const both = [
    { serial: one.serial, uuid: one.uuid },
    { serial: two.serial, uuid: two.uuid },
  ]
  const read = async (text: string, encoding: BufferEncoding = 'utf8') => {
    const bytes = Buffer.from(text, encoding)
    const shape = shapeOf(bytes)
    if (shape === undefined) return undefined
    const { found, refusals } = await readLaptops(bytes, shape)
    t.strictSame(refusals.first, [], text)
    return found.map(({ line: _, ...laptop }) => laptop)
  }
  const forms = {
    'SN,UUID': `${one.serial},${one.uuid}\n${two.serial},${two.uuid}\n`,
    'without the last line end': `${one.serial},${one.uuid}\n${two.serial},${two.uuid}`,
    'CRLF, blanks and blank lines': `\r\n ${one.serial} , ${one.uuid} \r\n\r\n  \r\n${two.serial},${two.uuid}\r\n`,
    'CR alone': `${one.serial},${one.uuid}\r${two.serial},${two.uuid}\r`,
    quotes: `"${one.serial}","${one.uuid}"\n"${two.serial}" , "${two.uuid}"\n`,
    'blanks inside quotes': `"Escuela 42"," ${one.serial} "," ${one.uuid} "\n" Escuela 42 ","${two.serial}","${two.uuid}\t"\n`,
    'lower case': `${one.serial.toLowerCase()},${one.uuid}\n${two.serial},${two.uuid}\n`,
    'a heading': `SN,UUID\n${one.serial},${one.uuid}\n${two.serial},${two.uuid}\n`,
    'a heading in quotes, with a mark': `\ufeff"Serial Number";"uuid"\n${one.serial};${one.uuid}\n${two.serial};${two.uuid}\n`,
    'columns in another order': `uuid,name,serial\n${one.uuid},"Ana, the first",${one.serial}\n${two.uuid},,${two.serial}\n`,
    semicolons: `${one.serial};${one.uuid}\n${two.serial};${two.uuid}\n`,
    'laptops.dat with blanks': `${one.serial} ${one.uuid} more words\n${two.serial}\t${two.uuid}\t7\n`,
    'laptops.dat with commas': `${one.serial}, ${one.uuid}, C1\n${two.serial}, ${two.uuid}, C1\n`,
    'further columns': `${one.serial},${one.uuid},Ana\n${two.serial},${two.uuid},Bob\n`,
  }
  for (const [name, text] of Object.entries(forms)) {
    const school = name === 'blanks inside quotes' ? { school: 'Escuela 42' } : {}
    t.strictSame(
      await read(text),
      both.map((one) => ({ ...one, ...school })),
      name,
    )
  }
  t.match((await readSerials(Buffer.from(`" ${one.serial} "\n`))).found, [{ serial: one.serial }])
  t.strictSame(
    await read(`Escuela 42,${one.serial},${one.uuid}\n"Mayor, la",${two.serial},${two.uuid}\n`),
    [
      { ...both[0], school: 'Escuela 42' },
      { ...both[1], school: 'Mayor, la' },
    ].map(({ school, ...rest }) => ({ ...rest, school })),
  )
  t.match(await read(`\xd1and\xfa,${one.serial},${one.uuid}\n`, 'latin1'), [{ school: 'Ñandú' }], 'Latin-1')
  t.match(await read(`Ñandú,${one.serial},${one.uuid}\n`), [{ school: 'Ñandú' }], 'UTF-8')
  t.strictSame(await read(`${one.serial}\n${two.serial}\n`), [{ serial: one.serial }, { serial: two.serial }])
})

t.test(
  'what id export prints as CSV is read by its heading, names over several lines included',
  async (t) => {
    const [one, two, three] = [laptop(1), laptop(2), laptop(3)]
    const columns = ['uid', 'nickname', 'pubkey', 'serials', 'uuids', 'registeredAt', 'lastSeen', 'aliasOf']
    const row = (nickname: string, serials: string, uuids: string) => ({ uid: 'x', nickname, serials, uuids })
    const csv = writeCsv(columns, [
      row('two\nlines, "quoted"', `${one.serial} ${two.serial}`, `${one.uuid} ${two.uuid}`),
      row('=formula; 7', three.serial, three.uuid),
      row('a PC', 'x86-1234', laptop(4).uuid),
      row('two uuids', laptop(5).serial, `${laptop(5).uuid} ${laptop(6).uuid}`),
      row('no data', 'SHF00000000', '00000000-0000-0000-0000-000000000000'),
    ])
    const bytes = Buffer.from(csv)
    const { found, refusals } = await readLaptops(bytes, shapeOf(bytes) ?? { form: 'words' })
    t.strictSame(
      found.map(({ line: _, ...rest }) => rest),
      [one, two, three],
    )
    t.strictSame(
      refusals.first.map(({ line, serial }) => [line, serial]),
      [
        [5, undefined],
        [6, laptop(5).serial],
        [7, 'SHF00000000'],
      ],
    )
    for (const { reason } of refusals.first) t.notMatch(reason, /[0-9A-F]{8}-/i, 'no uuid is told')
  },
)

t.test('a quote that is not closed spoils its own line alone', async (t) => {
  const row = (n: number) => `${laptop(n).serial},${laptop(n).uuid}`
  const text = [
    row(1),
    `"${row(2)}`,
    row(3),
    row(4),
    `${laptop(5).serial},"${laptop(5).uuid}`,
    row(6),
    `"${row(7)}`,
  ].join('\n')
  const { found, refusals } = await readLaptops(Buffer.from(text), { form: 'csv', delimiter: ',' })
  t.strictSame(
    found.map(({ serial }) => serial),
    [1, 3, 4, 6].map((n) => laptop(n).serial),
  )
  t.strictSame(
    refusals.first.map(({ line }) => line),
    [2, 5, 7],
  )
  const spread = `"${'x\n'.repeat(8000)}${row(1)}\n`
  t.equal((await readLaptops(Buffer.from(spread), { form: 'csv', delimiter: ',' })).found.length, 1)
})

t.test('a laptop that is named twice is one, unless its uuids differ', async (t) => {
  const { serial, uuid } = laptop(1)
  const text = `${serial}\n${serial},${uuid}\n${serial},${uuid}\n${serial},${laptop(2).uuid}\n`
  const { found, repeated, refusals } = await readLaptops(Buffer.from(text), { form: 'csv', delimiter: ',' })
  t.match(found, [{ serial, uuid }])
  t.equal(found.length, 1)
  t.equal(repeated, 2)
  t.match(refusals.first, [{ line: 4, serial, reason: /already, with another uuid/ }])
})

t.test('a list is taken up to its hundred thousandth laptop, and laptops are served meanwhile', async (t) => {
  const text = Array.from(
    { length: mostLaptops + 2 },
    (_, n) => `${laptop(n).serial},${laptop(n).uuid}\n`,
  ).join('')
  let pauses = 0
  const ticking = setInterval(() => {
    pauses += 1
  }, 1)
  const { found, refusals } = await readLaptops(Buffer.from(text), { form: 'csv', delimiter: ',' })
  clearInterval(ticking)
  t.equal(found.length, mostLaptops)
  t.equal(refusals.count, 2)
  t.ok(pauses > 5, `${pauses} pauses`)
})

t.test(
  '64 MiB of rubbish are refused as a whole, long before their end, and laptops are served meanwhile',
  async (t) => {
    const isRefused = { code: 'REQUEST_TOO_LARGE', message: `the file has more than ${mostLines} lines` }
    for (const filling of [' \r', 'act01: \n']) {
      const bytes = Buffer.alloc(64 << 20, filling)
      const longest = watchTurns(t)
      await t.rejects(readLaptops(bytes, { form: 'csv', delimiter: ',' }), isRefused, JSON.stringify(filling))
      await t.rejects(readSerials(bytes), isRefused)
      await t.rejects(readLeases(bytes), isRefused)
      t.ok(longest() < 1000, `the longest turn took ${longest()} ms`)
    }
    // Quotes cost more than anything else.
    const quotes = Buffer.alloc(1 << 16, '"x\ny\n"')
    t.equal((await readLaptops(quotes, { form: 'csv', delimiter: ',' })).found.length, 0)
    const oneLine = Buffer.alloc(64 << 20, '"')
    const longest = watchTurns(t)
    t.equal(recognise('x', oneLine), undefined)
    t.equal((await readLeases(oneLine)).refusals.count, 1)
    t.ok(longest() < 1000, `the longest turn took ${longest()} ms`)
  },
)
