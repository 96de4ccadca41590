import t from 'tap'
import { limiter } from '../../core/log/log.js'
import { printable, printableJson } from '../../core/log/printable.js'
import { readable } from '../../core/log/readable.js'

t.test('a flood of lines is cut off each second, and how much is told in the next', (t) => {
  let now = 0
  const lost: number[] = []
  const allow = limiter(
    (count) => void lost.push(count),
    () => now,
    3,
  )
  const tried = () => Array.from({ length: 10 }, allow).filter(Boolean).length
  t.equal(tried(), 3)
  t.same(lost, [], 'nothing is said while it goes on')
  now = 1000
  t.equal(tried(), 3)
  t.same(lost, [7])
  now = 5000
  t.equal(allow(), true)
  t.same(lost, [7, 7])
  now = 6000
  allow()
  t.same(lost, [7, 7], 'nor where nothing was left out')
  t.end()
})

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
