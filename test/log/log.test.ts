import t from 'tap'
import { printable, printableJson } from '../../core/log/printable.js'
import { readable } from '../../core/log/readable.js'
import { shorten } from '../../core/log/shorten.js'

t.test('no text moves the cursor, turns the direction of writing or ends a line', (t) => {
  const nasty = 'a\u001b[2Jb\u009bc\u202ed\ne\u2028\ud800'
  t.equal(printable(nasty), 'a\\u001b[2Jb\\u009bc\\u202ed\\u000ae\\u2028\ufffd')
  t.same(JSON.parse(printableJson({ nasty: nasty.toWellFormed() })), { nasty: nasty.toWellFormed() })
  t.notMatch(printableJson({ nasty }), /[\u001b\u009b\u202e\u2028]/)
  const line = readable(JSON.stringify({ level: 40, time: 0, plugin: 'id', msg: nasty, serial: nasty }))
  t.match(line, /^\d\d:\d\d:\d\d warn {2}id: a\\u001b/)
  t.equal(line.split('\n').length, 2, 'one line stays one line')
  t.end()
})

t.test('a line that is too long is cut, and is still JSON', (t) => {
  const line = (facts: object) => `${JSON.stringify({ level: 50, time: 1, msg: 'it failed', ...facts })}\n`
  const usual = line({ path: 'x'.repeat(2000) })
  t.equal(shorten(usual), usual)
  const long = shorten(line({ err: { message: '\u{1f600}'.repeat(500_000), stack: 'y'.repeat(5000) } }))
  t.match(JSON.parse(long), {
    msg: 'it failed',
    err: { message: /… \(1000000 characters\)$/, stack: /… \(5000 characters\)$/ },
  })
  t.ok(long.length < 3000)
  const many = Object.fromEntries(Array.from({ length: 5000 }, (_, n) => [`fact${n}`, n]))
  t.match(JSON.parse(shorten(line(many))), { level: 50, msg: 'it failed', characters: /^\d+$/ })
  t.end()
})
