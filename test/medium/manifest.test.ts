import { createHash } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import fc from 'fast-check'
import t from 'tap'
import { RequestError } from '../../core/api.js'
import { type Named, parseManifest } from '../../core/medium/manifest.js'
import { sha1sum } from '../support/core/signed-stick.js'
import { runs } from '../support/rounds.js'
import { temporaryDirectory } from '../support/temporary-directory.js'

const parse = (content: string | Buffer): Named[] => [
  ...parseManifest(Buffer.from(content), '/stick/manifest.sha1').values(),
]

const sumOf = (content: string): string => createHash('sha1').update(content).digest('hex')

const sum = sumOf('')

function reasonOf(content: string | Buffer): string {
  try {
    parse(content)
  } catch (error) {
    if (error instanceof RequestError && error.code === 'REQUEST_INVALID') return error.message
    throw error
  }
  return 'nothing was refused'
}

/** Any name that a file of a stick may have. */
const aName = fc
  .string({ unit: 'grapheme', minLength: 1, maxLength: 60 })
  .filter((name) => !/[\0-\x1f\x7f/\\]/.test(name) && !['.', '..'].includes(name))
  .filter((name) => !/^manifest\.sha1(\.sig)?$/i.test(name) && Buffer.byteLength(name) <= 255)

const names = fc.uniqueArray(aName, { selector: (name) => name.toLowerCase(), maxLength: 20 })

t.test(
  'what sha1sum writes about any files is read to the letter, in whatever form it writes it',
  async (t) => {
    const folder = await temporaryDirectory(t)
    const [some = []] = fc.sample(
      fc.uniqueArray(aName, { selector: (n) => n.toLowerCase(), minLength: 40 }),
      1,
    )
    // `-` would be standard input.
    const all = [
      ...some.filter((name) => name !== '-'),
      ' begins with a blank',
      '*star',
      'Ñandú.sig',
      '-n',
      'a  b',
    ]
    for (const name of all) await writeFile(join(folder, name), name)
    const expected = all.map((name) => ({ name, sum: sumOf(name) }))
    t.same(parse(sha1sum(folder, all)), expected)
    t.same(parse(sha1sum(folder, all, '--binary')), expected)
    const dotted = sha1sum(
      folder,
      all.map((name) => `./${name}`),
    )
    t.same(parse(dotted), expected)
    t.same(parse(dotted.replaceAll('\n', '\r\n')), expected)
  },
)

t.test('any manifest of fitting names gives them back in order, whatever it looks like', (t) => {
  const form = fc.record({
    mark: fc.constantFrom(' ', '*'),
    dot: fc.constantFrom('', './'),
    end: fc.constantFrom('\n', '\r\n', '\n\n'),
    isUpper: fc.boolean(),
  })
  fc.assert(
    fc.property(fc.array(form, { minLength: 20, maxLength: 20 }), names, (forms, some) => {
      const lines = some.map((name, index) => {
        const { mark, dot, end, isUpper } = forms[index] ?? { mark: ' ', dot: '', end: '\n', isUpper: false }
        // A name that itself begins like `./` has no other way to be written.
        return `${isUpper ? sumOf(name).toUpperCase() : sumOf(name)} ${mark}${dot}${name}${end}`
      })
      const expected = some.map((name) => ({ name, sum: sumOf(name) }))
      return isDeepStrictEqual(parse(lines.join('')), expected)
    }),
  )
  t.end()
})

t.test('whatever the bytes are, no name comes out that leads anywhere else or stands for two files', (t) => {
  const fragment = fc.constantFrom(
    `${sum}  `,
    `${sum} *`,
    './',
    '../',
    '/',
    '\\',
    '\0',
    '\r',
    '\n',
    '..',
    'a',
    'A',
    'x'.repeat(200),
    'manifest.sha1',
    '\u00e9',
  )
  const hostile = fc.oneof(
    fc.array(fragment, { maxLength: 30 }).map((parts) => Buffer.from(parts.join(''))),
    fc.uint8Array({ maxLength: 400 }).map((bytes) => Buffer.from(bytes)),
    fc.array(fc.tuple(fragment, fragment), { maxLength: 6 }).map((lines) => {
      return Buffer.from(lines.map((parts) => `${sum}  ${parts.join('')}`).join('\n'))
    }),
  )
  let accepted = 0
  fc.assert(
    fc.property(hostile, (bytes) => {
      let found: Named[]
      try {
        found = parse(bytes)
      } catch (error) {
        return error instanceof RequestError && error.code === 'REQUEST_INVALID'
      }
      accepted += found.length
      const folded = found.map(({ name }) => name.toLowerCase())
      return (
        new Set(folded).size === found.length &&
        found.every(
          (one) =>
            /^[0-9a-f]{40}$/.test(one.sum) &&
            join('/stick', one.name) === `/stick/${one.name}` &&
            !/[\0-\x1f\x7f/\\]/.test(one.name) &&
            Buffer.byteLength(one.name) <= 255,
        )
      )
    }),
    runs(2000),
  )
  t.ok(accepted > 0, 'some of them are manifests')
  t.end()
})

t.test('a line that could do harm is refused with its number, its name and the reason', (t) => {
  const good = `${sum}  good.sig\n`
  const cases: [line: string | Buffer, reason: string][] = [
    [`${sum}  ../leases.sig`, '"../leases.sig" leads to another directory'],
    [`${sum}  /etc/passwd`, '"/etc/passwd" leads to another directory'],
    [`${sum}  ./sub/leases.sig`, '"./sub/leases.sig" leads to another directory'],
    [`${sum}  .//leases.sig`, '".//leases.sig" leads to another directory'],
    [`${sum}  ..`, '".." is not the name of a file'],
    [`${sum}  ./`, '"./" is not the name of a file'],
    [`${sum}  `, '"" is not the name of a file'],
    [`${sum}  a\0b`, '"a\\u0000b" holds a control character'],
    [`${sum}  a\rb`, '"a\\rb" holds a control character'],
    [`${sum}  sub\\a`, '"sub\\\\a" holds a backslash'],
    [`\\${sum}  a\\nb`, 'it names a file with a backslash or a line end in its name'],
    [`${sum}  ${'n'.repeat(256)}`, `"${'n'.repeat(80)}..." is longer than 255 bytes`],
    [`${sum}  ${'ñ'.repeat(128)}`, `"${'ñ'.repeat(80)}..." is longer than 255 bytes`],
    [`${sum}  good.sig`, 'good.sig comes twice'],
    [`${sum}  Good.SIG`, 'Good.SIG comes twice, before as good.sig'],
    [`${sum} a.sig`, `"${sum} a.sig" is not a sum and a name`],
    [`${sum.slice(1)}  a.sig`, `"${sum.slice(1)}  a.sig" is not a sum and a name`],
    [`${sum}0  a.sig`, `"${sum}0  a.sig" is not a sum and a name`],
    [` ${sum}  a.sig`, `" ${sum}  a.sig" is not a sum and a name`],
    [`SHA1 (a.sig) = ${sum}`, `"SHA1 (a.sig) = ${sum}" is not a sum and a name`],
    ['# a remark', '"# a remark" is not a sum and a name'],
    [Buffer.concat([Buffer.from(`${sum}  `), Buffer.from([0xf1])]), 'it is not UTF-8'],
  ]
  for (const [line, reason] of cases) {
    const bytes = Buffer.concat([Buffer.from(good), Buffer.from(line), Buffer.from('\n')])
    t.equal(reasonOf(bytes), `/stick/manifest.sha1, line 2: ${reason}`)
  }
  t.same(
    parse(`${sum}  ${'n'.repeat(255)}`).map(({ name }) => name.length),
    [255],
    'a name of 255 bytes fits',
  )
  t.end()
})

t.test('a manifest that was made a second time, and names itself, says nothing wrong about the rest', (t) => {
  const own = `${sum}  manifest.sha1\n${sum} *./MANIFEST.SHA1.SIG\n`
  t.same(parse(`${own}${sum}  a.sig\n${own}`), [{ name: 'a.sig', sum }])
  t.same(parse(''), [], 'and an empty one names nothing')
  t.end()
})

t.test('the largest manifest is read in no time, be it one line or many', (t) => {
  const begun = performance.now()
  const many = Array.from({ length: 19_000 }, (_, index) => `${sum}  ${index}.sig\n`).join('')
  t.equal(parse(many).length, 19_000)
  t.match(reasonOf(`${sum}  ${'a'.repeat(1024 * 1024)}`), 'longer than 255 bytes')
  t.match(reasonOf(' '.repeat(1024 * 1024)), 'is not a sum and a name')
  t.ok(performance.now() - begun < 3000)
  t.end()
})
