import { pino } from 'pino'
import t from 'tap'
import { Flood, type LeftOut } from '../../core/log/flood.js'
import { type Kind, kindOf, pluginOf } from '../../core/log/kind.js'

/** A flood with a clock that stands still. */
function flood() {
  const told: LeftOut[] = []
  const clock = { now: 0 }
  const limits = new Flood(
    (left) => void told.push(left),
    () => clock.now,
  )
  /** @returns how many of so many lines get through */
  const through = (many: number, kind: (n: number) => Kind): number =>
    Array.from({ length: many }, (_, n) => limits.admit(kind(n))).filter(Boolean).length
  return { limits, told, clock, through }
}

const request = (ip: string, status = 404): Kind =>
  kindOf('', 30, 'info', [{ id: 'x', ip, method: 'GET', route: '/x', status, ms: 1 }, 'request'])
const failure = (err: unknown): Kind => kindOf('backup', 50, 'error', [{ err }, 'a request failed'])
const snapshot = (uid: string): Kind => kindOf('backup', 30, 'info', [{ uid }, `snapshot 7 of ${uid}`])

t.test(
  'a flood of requests leaves out no error, no work of a learner, and no request that goes well',
  (t) => {
    const { through } = flood()
    t.ok(through(100_000, () => request('10.0.0.66')) <= 400, 'one address')
    t.ok(through(100_000, (n) => request(`2001:db8:${(n >> 8).toString(16)}:${n & 255}::1`)) <= 800, 'many')
    t.equal(
      through(20, () => failure(new Error('the disk is gone'))),
      20,
    )
    t.equal(
      through(100, (n) => snapshot(`${n}`.padStart(40, 'a'))),
      100,
    )
    t.ok(through(10, () => request('10.0.0.5', 200)) > 0)
    t.ok(through(10, () => request('10.0.0.66', 200)) > 0, 'not even of the same address')
    t.end()
  },
)

t.test('an error by the thousand leaves out no other, and all of them are bounded', (t) => {
  const { through, limits } = flood()
  t.ok(through(100_000, (n) => failure(new TypeError(`cannot read ${n} of /srv/${n}/x`))) <= 21, 'one kind')
  t.ok(through(1, () => failure(new RangeError('another one'))) === 1)
  const sneaky = 'abcdefghijklmnop'
  const word = (n: number) => [...String(n)].map((digit) => sneaky[Number(digit)]).join('')
  t.ok(through(100_000, (n) => failure(new Error(word(n)))) <= 300, 'as many kinds as lines')
  limits.admit(failure(new Error('once more')))
  t.end()
})

t.test('a line of a megabyte counts as many', (t) => {
  const { limits, through } = flood()
  const first = failure(new Error('first'))
  t.ok(limits.admit(first))
  limits.charge(first, 1 << 20)
  t.equal(
    through(100, () => first),
    0,
  )
  t.equal(limits.admit(failure(new Error('another'))), true, 'another kind is heard once all the same')
  t.end()
})

t.test('what was left out is counted by kind, and told when the flood ends or a minute is over', (t) => {
  const { limits, told, clock, through } = flood()
  const left = 1000 - through(1000, () => request('10.0.0.66'))
  t.same(told, [], 'nothing is said while it goes on')
  limits.tick()
  t.same(told, [])
  limits.tick()
  t.same(told, [{ lines: left, seconds: 2, kinds: { 'info: request 404 from 10.0.0.66': left } }])
  for (let second = 1; second <= 60; second += 1) {
    clock.now = second * 1000
    through(500, () => failure(new Error('x')))
    limits.tick()
  }
  t.match(told[1], { seconds: 60, kinds: { 'error backup: a request failed: Error  x': Number } })
  limits.tellNow()
  t.equal(told.length, 2, 'nothing more was left out')
  clock.now = 100_000
  for (let n = 0; n < 50_000; n += 1) limits.admit(request(`10.${n >> 16}.${(n >> 8) & 255}.${n & 255}`))
  limits.tellNow()
  const { kinds = {}, lines = 0 } = told[2] ?? {}
  t.ok(Object.keys(kinds).length <= 21, 'the line is not long')
  t.equal(
    Object.values(kinds).reduce((sum, count) => sum + count, 0),
    lines,
    'and leaves out none',
  )
  t.end()
})

t.test('a kind is what a line says, without what differs from case to case', (t) => {
  const kind = (...words: unknown[]) => kindOf('id', 40, 'warn', words).kind
  t.equal(kind('the file /srv/a1 is gone'), kind('the file /srv/b2 is gone'))
  t.equal(
    kind({ err: new Error("no 'x' here") }, 'failed'),
    kind({ err: new Error("no 'y' here") }, 'failed'),
  )
  t.not(kind({ err: new Error('full') }, 'failed'), kind({ err: new Error('gone') }, 'failed'))
  t.not(kind({ err: new TypeError('full') }, 'failed'), kind({ err: new Error('full') }, 'failed'))
  t.equal(kind(new Error('alone')), 'warn id: : Error  alone')
  t.match(kind('\u001b[K'), /u001b/, 'it is safe on a terminal')
  t.ok(kind('word '.repeat(100_000)).length < 300)
  for (const odd of [[], [undefined], [null, 3], [{ err: null }], [{ status: 'x', ip: 7 }]])
    t.ok(kind(...odd))
  t.same(kindOf('', 30, 'info', [{ ip: '::ffff:10.0.0.1' }, 'x']), {
    ...{ lane: 'client', kind: 'info: x', source: '10.0.0.1' },
  })
  const logger = pino({ enabled: false })
  t.same([pluginOf(logger), pluginOf(logger.child({ plugin: 'id' }))], ['', 'id'])
  t.end()
})
