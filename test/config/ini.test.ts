import { spawnSync } from 'node:child_process'
import fc from 'fast-check'
import t from 'tap'
import { type Ini, parseIni } from '../../core/config/ini.js'
import { needs } from '../support/needs.js'
import { runs } from '../support/rounds.js'

/** The options of each section, in order. */
type Sections = Record<string, [name: string, value: string][]>

const sectionsOf = ({ entries }: Ini): Sections => {
  const sections = new Map<string, [string, string][]>()
  for (const { section, name, value } of entries) {
    sections.set(section, [...(sections.get(section) ?? []), [name, value]])
  }
  return Object.fromEntries(sections)
}

const sorted = (sections: Sections) => Object.entries(sections).sort(([a], [b]) => (a < b ? -1 : 1))

// Texts come as a JSON list; of each goes back what ConfigParser made of it, or null where it raised. StringIO
// with newline=None reads lines as open() does.
const oracle = `
import configparser, io, json, sys
answers = []
for text in json.load(sys.stdin):
    parser = configparser.RawConfigParser(strict=True)
    try:
        parser.read_file(io.StringIO(text, newline=None))
    except configparser.Error:
        answers.append(None)
        continue
    sections = {'DEFAULT': parser._defaults, **parser._sections}
    answers.append({name: list(options.items()) for name, options in sections.items() if options})
json.dump(answers, sys.stdout)
`

function python(texts: readonly string[]): (Sections | null)[] {
  const { stdout, stderr, status } = spawnSync('python3', ['-I', '-c', oracle], {
    input: JSON.stringify(texts),
    encoding: 'utf8',
    maxBuffer: 1 << 28,
  })
  if (status !== 0) throw new Error(`python3: ${stderr}`)
  return JSON.parse(stdout)
}

// Letters whose lower case is special, what Python takes for white space, and what only looks like it.
const spaces = [' ', '  ', '\t', '\v', '\f', '\x1c', '\x1f', '\x85', '\xa0', '\u2003', '\u2028', '\u3000']
const alphabet = [
  ...['a', 'b', 'A', 'port', 'é', 'İ', 'Σ', '\u200b', '\u180e', '😀', '0', '.', '-', '%', '%(a)s', '"', '\\'],
  ...['=', ':', '[', ']', '#', ';', '=', ':'],
  ...spaces,
]
const letters = fc.array(fc.constantFrom(...alphabet), { maxLength: 6 }).map((parts) => parts.join(''))
const name = fc.constantFrom('a', 'A', 'b', 'c', 'd-e', 'f g', 'İ', 'rem')
const space = fc.constantFrom('', '', '', ...spaces)
const concat = (...parts: fc.Arbitrary<string>[]) => fc.tuple(...parts).map((texts) => texts.join(''))
const section = fc.constantFrom('one', 'two', 'One', 'three', 'DEFAULT', 'DEFAULT ', 'a]b', ' ')

const header = concat(fc.constant('['), section, fc.constant(']'))
const option = concat(name, space, fc.constantFrom('=', ':', ' = ', '=='), space, letters)
const line = fc.oneof(
  { weight: 3, arbitrary: header },
  { weight: 7, arbitrary: option },
  { weight: 3, arbitrary: concat(fc.constantFrom(' ', '\t', '  ', '\u3000'), letters) },
  { weight: 2, arbitrary: concat(space, fc.constantFrom('#', ';'), letters) },
  { weight: 2, arbitrary: space },
  { weight: 1, arbitrary: concat(space, header, letters) },
  { weight: 1, arbitrary: concat(space, option) },
  { weight: 1, arbitrary: letters },
)
const file = fc
  .tuple(
    fc.constantFrom('[first]', '[first]', '[first]', '[DEFAULT]', ''),
    fc.array(fc.tuple(fc.constantFrom('\n', '\n', '\r\n', '\r'), line), { maxLength: 12 }),
  )
  .map(([first, lines]) => first + lines.map(([end, text]) => end + text).join(''))

t.test("files mean what they mean to Python's ConfigParser, and mistakes are mistakes to both", async (t) => {
  if (!needs(t, 'python3', 'python3')) return
  const texts = fc.sample(file, runs(3000))
  const answers = python(texts)
  t.equal(answers.length, texts.length)
  const refused = answers.filter((answer) => answer === null).length
  t.ok(
    refused > texts.length / 6 && refused < (texts.length * 5) / 6,
    `a fair share of the files is refused: ${refused} of ${texts.length}`,
  )

  const differing = texts.flatMap((text, index) => {
    const ours = parseIni(text)
    const theirs = answers[index] ?? null
    const same =
      theirs === null
        ? ours.mistakes.length > 0
        : ours.mistakes.length === 0 &&
          JSON.stringify(sorted(sectionsOf(ours))) === JSON.stringify(sorted(theirs))
    return same ? [] : [{ text, ours, theirs }]
  })
  const shortest = differing.sort((a, b) => a.text.length - b.text.length).at(0)
  t.equal(shortest, undefined, 'the shortest file that is read differently')
})

t.test('names, values, comments and continuation', (t) => {
  const { entries, mistakes } = parseIni(`
# a comment
[id]
; another
id-port = 8080
Id-Host: school # no comment, and = is kept
empty =
many = one
  two

  # left out
  three
last = 1
[backup]
id-port = 1
`)
  t.same(mistakes, [])
  t.same(entries, [
    { section: 'id', name: 'id-port', value: '8080', line: 5 },
    { section: 'id', name: 'id-host', value: 'school # no comment, and = is kept', line: 6 },
    { section: 'id', name: 'empty', value: '', line: 7 },
    { section: 'id', name: 'many', value: 'one\ntwo\n\nthree', line: 8 },
    { section: 'id', name: 'last', value: '1', line: 13 },
    { section: 'backup', name: 'id-port', value: '1', line: 15 },
  ])
  t.end()
})

t.test('every mistake is told with its line, and reading goes on behind it', (t) => {
  const { entries, mistakes } = parseIni(
    ['early = 1', '[a]', 'no value', '= no name', 'x = 1', 'X = 2', '[a]', 'y = 3', 'z'.repeat(50)].join(
      '\r\n',
    ),
  )
  t.same(mistakes, [
    { line: 1, message: '"early = 1" stands before any [section]' },
    { line: 3, message: 'expected "option = value", found "no value"' },
    { line: 4, message: 'expected "option = value", found "= no name"' },
    { line: 6, message: 'option x again in [a]' },
    { line: 7, message: 'section [a] again' },
    { line: 9, message: `expected "option = value", found "${'z'.repeat(40)}..."` },
  ])
  t.match(entries, [
    { name: 'x', value: '1', line: 5 },
    { name: 'x', value: '2', line: 6 },
    { name: 'y', value: '3', line: 8 },
  ])
  t.end()
})

t.test('a byte order mark is taken, which Python would trip over', (t) => {
  t.same(parseIni('\ufeff[a]\nx = 1'), {
    entries: [{ section: 'a', name: 'x', value: '1', line: 2 }],
    mistakes: [],
  })
  t.equal(parseIni('[a]\n\ufeffx = 1').entries[0]?.name, '\ufeffx', 'and only at the beginning')
  t.end()
})
