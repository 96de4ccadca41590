import { pino } from 'pino'
import t from 'tap'
import { type ErrorCode, SystemError } from '../../../../core/api.js'
import { Flusher } from '../../../../plugins/backup/session/flusher.js'
import { until } from '../../../support/core/server-process.js'

/** The signal of a session that goes on. */
const ongoing = () => new AbortController().signal

const failure = (code: ErrorCode, message: string) => new SystemError(code, message, { hint: 'look' })

/** A disk whose flushes end when the test says so. */
function disk({ longest = 60_000 } = {}) {
  const lines: { level: number; msg: string }[] = []
  const log = pino({ level: 'info' }, { write: (line: string) => void lines.push(JSON.parse(line)) })
  const flushes: { end(error?: Error): void; signal: AbortSignal }[] = []
  let open = 0
  let most = 0
  let failures = 0
  const flusher = new Flusher('/', {
    ...{ log, longest },
    sync: (_, signal) =>
      new Promise<void>((resolve, reject) => {
        open += 1
        most = Math.max(most, open)
        const end = (error?: Error) => {
          open -= 1
          if (error === undefined) resolve()
          else reject(error)
        }
        flushes.push({ end, signal })
      }),
    async failed() {
      failures += 1
    },
  })
  return { flusher, flushes, lines, most: () => most, failures: () => failures }
}

t.test(
  'one flush serves all who came before it began, and whoever comes later waits for the next',
  async (t) => {
    const { flusher, flushes, most } = disk()
    const served: string[] = []
    const ask = (who: string) => flusher.flush(ongoing()).then(() => served.push(who))
    const first = ask('first')
    t.equal(flushes.length, 1, 'the first need not wait')
    const others = Array.from({ length: 15 }, (_, n) => ask(`later ${n}`))
    t.equal(flushes.length, 1)
    flushes[0]?.end()
    await first
    t.same(served, ['first'], 'what the others wrote may not be in that one')
    await until(() => flushes.length === 2, 'the next flush')
    const last = ask('last')
    flushes[1]?.end()
    await Promise.all(others)
    t.equal(served.length, 16)
    await until(() => flushes.length === 3, 'one more for the last')
    flushes[2]?.end()
    await last
    t.equal(most(), 1, 'never two at once')
    t.equal(flusher.problem, undefined)
  },
)

t.test('whoever asks in the moment in which one ends is served by the next', async (t) => {
  const { flusher, flushes, most } = disk()
  const first = flusher.flush(ongoing())
  const second = flusher.flush(ongoing())
  flushes[0]?.end()
  // By now the first has ended, and the second has not begun.
  const asked: Promise<void>[] = []
  await Promise.race([first, Promise.resolve().then(() => asked.push(flusher.flush(ongoing())))])
  await until(() => flushes.length === 2, 'the next flush')
  flushes[1]?.end()
  await Promise.all([first, second, ...asked])
  t.equal(flushes.length, 2)
  t.equal(most(), 1)
})

t.test(
  'a flush that fails is told to all who waited, and to the operator until the server starts anew',
  async (t) => {
    const { flusher, flushes, lines, failures } = disk()
    const one = flusher.flush(ongoing())
    flushes[0]?.end(failure('NOT_WRITABLE', '/ cannot be written to the disk: Input/output error'))
    await t.rejects(one, { code: 'UNAVAILABLE', exitCode: 75, message: /is not safe/, hint: /teacher/ })
    t.match(flusher.problem, /Input\/output error; look at the disk/)
    t.match(lines, [{ level: 50, msg: /could not be written/ }])
    t.equal(failures(), 1)
    const two = flusher.flush(ongoing())
    flushes[1]?.end()
    await two
    t.match(flusher.problem, /Input\/output error/, 'a disk that failed once is not well')
  },
)

t.test('a full disk is told as one, and forgotten when there is room', async (t) => {
  const { flusher, flushes } = disk()
  const one = flusher.flush(ongoing())
  flushes[0]?.end(failure('NO_SPACE', 'there is no room to write / to the disk'))
  await t.rejects(one, { code: 'NO_SPACE', exitCode: 75 })
  t.match(flusher.problem, /make room/)
  const two = flusher.flush(ongoing())
  flushes[1]?.end()
  await two
  t.equal(flusher.problem, undefined)
})

t.test(
  'a disk that hangs keeps no laptop waiting for ever, and no second flush is begun on top',
  async (t) => {
    const { flusher, flushes, lines, failures } = disk({ longest: 50 })
    const told = { code: 'UNAVAILABLE', message: /did not write it in time/ }
    await Promise.all([t.rejects(flusher.flush(ongoing()), told), t.rejects(flusher.flush(ongoing()), told)])
    await t.rejects(flusher.flush(ongoing()), told)
    t.equal(flushes.length, 1)
    t.ok(flushes[0]?.signal.aborted, 'its program is ended, if the kernel lets it')
    t.match(flusher.problem, /takes longer/)
    t.equal(lines.length, 1, 'the operator is told once')
    t.equal(failures(), 0, 'late is not lost')
    flushes[0]?.end()
    await until(() => flushes.length === 2, 'those who came meanwhile are flushed for')
    flushes[1]?.end()
    await until(() => flusher.problem === undefined, 'all to be well again')
  },
)

t.test('a session that is ended meanwhile does not wait', async (t) => {
  const { flusher, flushes } = disk()
  const stop = new AbortController()
  const waiting = flusher.flush(stop.signal)
  stop.abort(new Error('the server is stopping'))
  await t.rejects(waiting, { message: 'the server is stopping' })
  await t.rejects(flusher.flush(stop.signal), { message: 'the server is stopping' })
  t.equal(flushes.length, 1)
  flushes[0]?.end()
})

t.test('without the program nothing is acknowledged', async (t) => {
  const log = pino({ level: 'silent' })
  const { PATH } = process.env
  process.env.PATH = t.testdir({})
  t.teardown(() => {
    process.env.PATH = PATH
  })
  const flusher = new Flusher('/', { log, failed: async () => undefined })
  await t.rejects(flusher.flush(ongoing()), { code: 'UNAVAILABLE' })
  t.match(flusher.problem, /ENOENT/)
})
