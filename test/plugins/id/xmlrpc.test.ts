import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import t from 'tap'
import { printable } from '../../../core/api.js'
import { decodeCall, encodeFault, encodeReply, Fault, type Value } from '../../../plugins/id/xmlrpc.js'
import { needs } from '../../support/needs.js'
import { runs } from '../../support/rounds.js'
import { python } from '../../support/sugaroid/fake-servers.js'
import { markup, oddities } from '../../support/xmlrpc-markup.js'

t.setTimeout(300_000)

const call = (params: string, head = "<?xml version='1.0'?>\n"): string =>
  `${head}<methodCall>\n<methodName>register</methodName>\n<params>\n${params}</params>\n</methodCall>\n`

const param = (text: string): string => `<param>\n<value><string>${text}</string></value>\n</param>\n`

const faultOf = (text: string): Fault | undefined => {
  try {
    decodeCall(text)
    return undefined
  } catch (error) {
    if (error instanceof Fault) return error
    throw error
  }
}

/** What XML cannot carry goes out as the replacement character. */
const cleaned = (text: string): string =>
  text.toWellFormed().replace(/[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\u{10000}-\u{10ffff}]/gu, '\ufffd')

const cleanedWhole = (value: Value): Value =>
  typeof value === 'string'
    ? cleaned(value)
    : Object.fromEntries(Object.entries(value).map(([name, one]) => [cleaned(name), cleanedWhole(one)]))

const nasty = fc.constantFrom(
  ']]>',
  '<![CDATA[',
  '&',
  '&amp;',
  '<',
  '>',
  '"',
  "'",
  '\r',
  '\n',
  '\r\n',
  '\t',
  '\0',
)
const anyText = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 40 }),
  fc.string({ unit: 'grapheme-composite', maxLength: 20 }),
  fc.string({
    unit: fc.oneof(nasty, fc.constantFrom('\ud800', '\udfff', '\u001b', '\ufffe', 'a', '🦉')),
    maxLength: 12,
  }),
  fc.array(fc.nat({ max: 0xffff }), { maxLength: 20 }).map((units) => String.fromCharCode(...units)),
)

const samples = [
  '',
  ' ',
  ']]>]]>',
  ']]>&]]><b>',
  'a]]>b]]>c',
  '<![CDATA[x]]>',
  '\0',
  '\u0001\u0008\u000b\u000c\u001f',
  '\ufffe\uffff',
  '\ud800',
  '\udc00\ud800',
  'a\ud83e',
  '\u{1fffe}\u{10ffff}',
  '\r\n\r',
  '\u0085\u2028\u2029\u007f\u009b',
  '</string></value></member>',
  'x'.repeat(20_000),
]

t.test('whatever a reply says, Python reads it', async (t) => {
  if (!needs(t, 'python3', 'python3')) return
  const texts = [...samples, ...fc.sample(anyText, runs(3000))]
  const structs = fc.sample(
    fc.dictionary(anyText, fc.oneof(anyText, fc.dictionary(anyText, anyText, { maxKeys: 3 })), {
      maxKeys: 4,
    }),
    runs(500),
  ) as Value[]
  const values: Value[] = [
    ...texts,
    ...structs,
    { ['__proto__']: 'own', constructor: { ['__proto__']: 'x' } },
  ]
  const heard = (await python(
    `
import base64, json, sys, xmlrpc.client
loads = lambda reply: xmlrpc.client.loads(base64.b64decode(reply))[0]
print(json.dumps([loads(reply) for reply in json.load(sys.stdin)]))
`,
    [],
    JSON.stringify(values.map((value) => Buffer.from(encodeReply(value)).toString('base64'))),
  )) as [Value][]
  t.equal(heard.length, values.length)
  const wrong = values.filter(
    (value, index) => JSON.stringify(heard[index]?.[0]) !== JSON.stringify(cleanedWhole(value)),
  )
  t.strictSame(wrong, [])
})

t.test('whatever a fault says, Python raises it', async (t) => {
  if (!needs(t, 'python3', 'python3')) return
  const texts = [...samples, ...fc.sample(anyText, runs(300))]
  const heard = await python(
    `
import base64, json, sys, xmlrpc.client
def loads(reply):
    try: xmlrpc.client.loads(base64.b64decode(reply))
    except xmlrpc.client.Fault as fault: return [fault.faultCode, fault.faultString]
print(json.dumps([loads(reply) for reply in json.load(sys.stdin)]))
`,
    [],
    JSON.stringify(texts.map((text) => Buffer.from(encodeFault(new Fault(-32601, text))).toString('base64'))),
  )
  t.strictSame(
    heard,
    texts.map((text) => [-32601, cleaned(text)]),
  )
})

t.test('whatever Python sends is heard to the letter', async (t) => {
  if (!needs(t, 'python3', 'python3')) return
  const wellFormed = [...samples, ...fc.sample(anyText, runs(3000))].filter((text) => text.isWellFormed())
  const calls = (await python(
    `
import json, sys, xmlrpc.client
print(json.dumps([xmlrpc.client.dumps(('SHC00000001', text, text, 'key'), 'register') for text in json.load(sys.stdin)]))
`,
    [],
    JSON.stringify(wellFormed),
  )) as string[]
  t.ok(calls.length > runs(3000).numRuns * 0.6)
  const wrong = wellFormed.filter((text, index) => {
    const { method, params } = decodeCall(calls[index] ?? '')
    return (
      JSON.stringify([method, params]) !== JSON.stringify(['register', ['SHC00000001', text, text, 'key']])
    )
  })
  t.strictSame(
    wrong.map((text) => JSON.stringify(text).slice(0, 80)),
    [],
  )
})

t.test('every way in which XML-RPC writes text is understood', async (t) => {
  const ways: [what: string, xml: string, text: string][] = [
    ['a string', param('Ana'), 'Ana'],
    ['a value without a type', '<param><value>Ana</value></param>', 'Ana'],
    ['an empty value', '<param><value></value></param>', ''],
    ['an empty element', '<param><value><string/></value></param>', ''],
    ['white space', param('  \n\t '), '  \n\t '],
    ['CDATA', param('<![CDATA[<Ana> & ]]]]><![CDATA[>]]>'), '<Ana> & ]]>'],
    ['references', param('&lt;&gt;&amp;&quot;&apos;&#65;&#x1F989;&#13;'), '<>&"\'A🦉\r'],
    ['comments between', `<!-- Ana -->${param('Ana')}<!-- -->`, 'Ana'],
  ]
  for (const [what, xml, text] of ways) t.strictSame(decodeCall(call(xml)).params, [text], what)
  for (const head of [
    '',
    '<?xml version="1.0" encoding="UTF-8"?>',
    "<?xml version='1.0' encoding='utf8' ?>\r\n",
    '\n',
  ])
    t.strictSame(decodeCall(call(param('ñ'), head)).params, ['ñ'], JSON.stringify(head))
  t.strictSame(decodeCall('<methodCall><methodName>register</methodName></methodCall>').params, [])
})

t.test('documents that no laptop sends are refused', async (t) => {
  const secret = join(t.testdir(), 'secret')
  writeFileSync(secret, 'owls are not what they seem')
  const whole = call(param('Ana'))
  const lols = Array.from({ length: 9 }, (_, n) => `<!ENTITY l${n + 1} "${`&l${n};`.repeat(10)}">`).join('')
  const refused: [what: string, text: string, reason: RegExp][] = [
    ['a bomb of entities', call(param('&l9;'), `<!DOCTYPE x [<!ENTITY l0 "lol">${lols}]>`), /DOCTYPE/],
    [
      'one long entity',
      call(param('&a;'.repeat(5000)), `<!DOCTYPE x [<!ENTITY a "${'a'.repeat(20_000)}">]>`),
      /DOCTYPE/,
    ],
    ['a file', call(param('&f;'), `<!DOCTYPE x [<!ENTITY f SYSTEM "file://${secret}">]>`), /DOCTYPE/],
    [
      'an address',
      call(param('&f;'), '<!DOCTYPE x [<!ENTITY % f SYSTEM "http://127.0.0.1:1/">%f;]>'),
      /DOCTYPE/,
    ],
    ['a DOCTYPE elsewhere', call('<!DOCTYPE x>'), /DOCTYPE/],
    ['a doctype in small letters', call(param('x'), '<!doctype x [<!entity a "b">]>'), /DOCTYPE/],
    ['a lone entity', call(`<!ENTITY a "b">${param('&a;')}`), /DOCTYPE/],
    ...['UTF-16', 'latin-1', 'ISO-8859-1', 'utf-7', 'cp037', ''].map((name): [string, string, RegExp] => [
      `the encoding "${name}"`,
      call(param('x'), `<?xml version="1.0" encoding="${name}"?>`),
      /only UTF-8/,
    ]),
    ['something behind it', `${whole}<a/>`, /cut off/],
    ['text behind it', `${whole}text`, /cut off/],
    ['a second call behind it', whole + whole.replace(/<\?.*\?>/, ''), /cut off/],
    ['the end twice', `${whole}</methodCall>`, /cut off/],
    ['a comment behind it', `${whole}<!-- -->`, /cut off/],
    [
      'the end in a comment',
      '<methodCall><methodName>register</methodName><!-- </methodCall>',
      /not an XML-RPC/,
    ],
    ['a reply', '<methodResponse><params/></methodResponse>', /not an XML-RPC/],
    ['no method', '<methodCall><params/></methodCall>', /not an XML-RPC/],
    ['an unknown type', call('<param><value><owl>x</owl></value></param>'), /not an XML-RPC/],
    ['words for a number', call('<param><value><int>owl</int></value></param>'), /not an XML-RPC/],
    [
      'words for a time',
      call('<param><value><dateTime.iso8601>x</dateTime.iso8601></value></param>'),
      /not an/,
    ],
    ['a character beyond Unicode', call(param('&#x110000;')), /not an XML-RPC/],
    ['HTML', '<!DOCTYPE html><html><body>no</body></html>', /DOCTYPE/],
    ['nothing', '', /cut off/],
  ]
  for (const [what, text, reason] of refused) {
    const fault = faultOf(text)
    t.match(fault, { code: -32700, message: reason }, what)
  }
  t.throws(() => decodeCall(refused[2]?.[1] ?? ''), { message: /^(?!.*owls)/ })
})

t.test('a call that is cut off anywhere is refused', async (t) => {
  const whole = call(
    `${param('SHC00000001')}${param('Ana &amp; 🦉')}${param('uuid')}${param('key')}`,
  ).trimEnd()
  const taken = Array.from({ length: whole.length }, (_, end) => whole.slice(0, end)).filter(
    (text) => faultOf(text) === undefined,
  )
  t.strictSame(taken, [])
  t.equal(decodeCall(whole).params.length, 4)
})

t.test('members of any name harm nobody', async (t) => {
  const member = (name: string, value: string) =>
    `<member><name>${name}</name><value>${value}</value></member>`
  const struct = (...members: string[]) => `<struct>${members.join('')}</struct>`
  for (const name of ['__proto__', 'constructor', 'toString', 'hasOwnProperty', 'length', 'then']) {
    const inner = struct(member('polluted', '<string>yes</string>'), member(name, '<string>x</string>'))
    const { params } = decodeCall(
      call(`<param><value>${struct(member(name, inner))}</value></param>${param('Ana')}`),
    )
    t.equal(params.length, 2, name)
    t.equal(params[1], 'Ana')
    t.equal(({} as Record<string, unknown>).polluted, undefined)
    t.equal(Object.prototype.toString.call({}), '[object Object]')
  }
  const odd = struct(
    `<member><name>${struct(member('toString', 'x'), member('valueOf', 'y'))}</name><value>z</value></member>`,
  )
  t.match(faultOf(call(`<param><value>${odd}</value></param>`)) ?? { code: -32700 }, { code: -32700 })
})

t.test('nesting and numbers without end are read or refused at once', async (t) => {
  const deep = (times: number, open: string, close: string) =>
    call(`<param><value>${open.repeat(times)}${close.repeat(times)}</value></param>`)
  const documents = [
    deep(1200, '<array><data><value>', '</value></data></array>'),
    deep(1000, '<struct><member><name>a</name><value>', '</value></member></struct>'),
    deep(10_000, '<a>', ''),
    call('<param/>'.repeat(7000)),
    call(param('').repeat(1300)),
    call(`<param><value><int>${'9'.repeat(60_000)}</int></value></param>`),
    call(`<param><value><double>1e${'9'.repeat(60_000)}</double></value></param>`),
    call(`<param ${'a="b" '.repeat(9000)}/>`),
    call(`<${'x'.repeat(60_000)}/>`),
    `<?xml ${' encoding'.repeat(7000)}?>${call('')}`,
    `<?xml ${' '.repeat(60_000)}encoding${' '.repeat(4000)}?>${call('')}`,
    `${' '.repeat(60_000)}</methodCall`,
    `${'</methodCall '.repeat(5000)}`,
    `</methodCall${' '.repeat(60_000)}x`,
  ]
  for (const document of documents) {
    const began = performance.now()
    faultOf(document)
    const ms = performance.now() - began
    t.ok(ms < 2000, printable(`${document.slice(0, 60).trim()}... in ${Math.round(ms)} ms`))
  }
})

t.test('whatever comes, it is a call or a fault', async (t) => {
  const whole = call(`${param('SHC00000001')}${param('Ana')}`)
  const piece = fc.constantFrom(...markup, ...oddities, 'register', '<?', '1')
  const anything = fc.oneof(
    fc.string({ unit: 'binary', maxLength: 100 }),
    fc.array(piece, { maxLength: 40 }).map((pieces) => pieces.join('')),
    fc.array(piece, { maxLength: 20 }).map((pieces) => call(pieces.join(''))),
    fc
      .tuple(
        fc.nat({ max: whole.length }),
        fc.nat({ max: 30 }),
        fc.oneof(piece, fc.string({ unit: 'binary' })),
      )
      .map(([at, length, put]) => whole.slice(0, at) + put + whole.slice(at + length)),
  )
  let calls = 0
  fc.assert(
    fc.property(anything, (text) => {
      if (faultOf(text) === undefined) calls += 1
    }),
    runs(10_000),
  )
  t.ok(calls > runs(10_000).numRuns / 100, `${calls} of them were calls`)
})

t.test('a body that is nothing but elements costs next to nothing', (t) => {
  const body = `<methodCall>${'<a>'.repeat(5000)}</methodCall>`
  t.throws(() => decodeCall(body), { code: -32700, message: 'too many elements' })
  t.end()
})
