import { chmodSync, existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { built } from '../../../plugins/keyring/clock/built.js'
import { ClockGuard, type GuardSpec } from '../../../plugins/keyring/clock/guard.js'
import { isSynchronised } from '../../../plugins/keyring/clock/synchronised.js'
import { lease } from '../../../plugins/keyring/commands/lease.js'
import { fill, smallDisk } from '../../support/keyring/key-files.js'
import { openDesk, xo } from '../../support/keyring/open-keyring.js'
import { temporaryDirectorySync } from '../../support/temporary-directory.js'

const minute = 60_000
const day = 24 * 60 * minute
const today = Date.parse('2027-03-01T08:00:00Z')
const released = new Date('2026-11-20T00:00:00Z')

/** A server whose clock says what the test wants. */
async function school(t: Pick<Test, 'teardown'>, more: Partial<GuardSpec> = {}) {
  const state = { now: today, signed: undefined as string | undefined }
  const spec: GuardSpec = {
    file: join(temporaryDirectorySync(t), 'keyring', 'clock.json'),
    built: released,
    newest: () => state.signed,
    synchronised: false,
    now: () => new Date(state.now),
    ...more,
  }
  const server = {
    spec,
    state,
    guard: await ClockGuard.open(spec),
    /** As the notary does: nothing is signed when there is an obstacle. */
    async sign() {
      const obstacle = await server.guard.obstacle()
      if (obstacle !== undefined) return obstacle
      state.signed = [state.signed ?? '', new Date(state.now).toISOString()].sort()[1]
      await server.guard.saw(new Date(state.now))
      return 'signed'
    },
    /** As the command does: the log says that no signature before counts. */
    async accept() {
      await server.guard.accept()
      state.signed = undefined
    },
    async restart() {
      server.guard = await ClockGuard.open(spec)
    },
  }
  return server
}

t.test('the day on which the software was made is a day that has been', async (t) => {
  t.ok(built.getTime() <= Date.now())
  t.ok(built.getTime() > Date.parse('2026-11-01'))
})

t.test('a clock of 1970 signs nothing, and leaves no trace', async (t) => {
  const server = await school(t)
  for (const now of [0, -1, Date.parse('2007-01-01'), released.getTime() - 1]) {
    server.state.now = now
    t.match(await server.sign(), /before this software was made \(2026-11-20 00:00\)/)
    await server.guard.saw(new Date(now))
  }
  t.equal(server.guard.facts().highest, undefined)
  await t.rejects(server.guard.accept(), {
    code: 'REFUSED',
    message: /cannot be right/,
    hint: 'set the clock',
  })
  server.state.now = released.getTime()
  t.equal(await server.sign(), 'signed')
})

t.test(
  'a clock that went back behind the newest signature signs nothing, but for what NTP may step',
  async (t) => {
    const server = await school(t)
    t.equal(await server.sign(), 'signed')
    server.state.now = today - 2 * minute
    t.equal(await server.sign(), 'signed')
    server.state.now = today - 4 * minute
    t.match(await server.sign(), /already/, 'nor does it creep back, step by step')
    server.state.now = today + minute
    t.equal(await server.sign(), 'signed')
    for (const back of [3 * minute, day, 90 * day]) {
      server.state.now = today - back
      t.match(await server.sign(), /something was signed at 2027-03-01 08:01 already/)
      await server.restart()
      t.match(await server.sign(), /already/, 'nor after a restart')
    }
    t.equal(server.guard.facts().highest, new Date(today + minute).toISOString(), 'the highest time is kept')
    server.state.now = today + 2 * minute
    t.equal(await server.sign(), 'signed')
  },
)

t.test('a clock that jumps years ahead signs nothing, and poisons nothing', async (t) => {
  const server = await school(t)
  t.equal(await server.sign(), 'signed')
  for (const ahead of [367 * day, 10 * 366 * day, 7000 * 366 * day]) {
    server.state.now = today + ahead
    t.match(await server.sign(), /last said 2027-03-01 08:00.*keyring clock --accept/)
    // As the server does each hour.
    await server.guard.saw(new Date(server.state.now))
    await server.restart()
    t.match(await server.sign(), /--accept/)
  }
  server.state.now = today + minute
  t.equal(await server.sign(), 'signed', 'once it is right again')
  server.state.now = today + 366 * day
  t.equal(await server.sign(), 'signed', 'after a year in which the school was closed')
})

t.test('on a new server a clock may be years ahead of the software, but not any number', async (t) => {
  for (const [years, says] of [
    [4, /^signed$/],
    [10, /this software was made 2026-11-20.*--accept/],
  ] as const) {
    const server = await school(t)
    server.state.now = released.getTime() + years * 366 * day
    t.match(await server.sign(), says, `${years} years`)
  }
})

t.test('the operator has the last word, and it outlives the server', async (t) => {
  const server = await school(t)
  t.equal(await server.sign(), 'signed')
  server.state.now = today + 700 * day
  await server.accept()
  t.equal(await server.sign(), 'signed')
  await server.restart()
  t.equal(await server.sign(), 'signed')

  server.state.now = today + day
  t.match(await server.sign(), /already/, 'it was wrong after all')
  await server.accept()
  await server.restart()
  t.equal(await server.sign(), 'signed')
  server.state.now = today
  t.match(await server.sign(), /2027-03-02 08:00 already/, 'from then on the newest signature counts as ever')
  await server.restart()
  server.state.now = today + 500 * day
  t.match(await server.sign(), /--accept/, 'and what was seen before is forgotten')
})

t.test('the highest time is kept without a signature, and not written each time', async (t) => {
  const server = await school(t)
  const kept = () => JSON.parse(readFileSync(server.spec.file, 'utf8')) as { highest: string }
  await server.guard.saw(new Date(today))
  t.equal(kept().highest, new Date(today).toISOString())
  await server.guard.saw(new Date(today + minute))
  t.equal(kept().highest, new Date(today).toISOString(), 'a minute is not worth a write')
  await server.guard.saw(new Date(today + 60 * minute))
  t.equal(kept().highest, new Date(today + 60 * minute).toISOString())
  await server.guard.saw(new Date(today))
  t.equal(server.guard.facts().highest, new Date(today + 60 * minute).toISOString(), 'and never goes back')
  server.state.now = today + 60 * minute + 366 * day
  await server.restart()
  t.equal(await server.guard.obstacle(), undefined)
  server.state.now += 2 * minute
  t.match(await server.guard.obstacle(), /last said 2027-03-01 09:00/)
})

t.test('signatures are seen even where the file is lost or rubbish', async (t) => {
  const server = await school(t)
  await server.sign()
  for (const text of [
    '',
    '{"highest":',
    '{"highest":5}',
    'null',
    '[]',
    '{"highest":"+275760-09-13T00:00:00.000Z"}',
  ]) {
    writeFileSync(server.spec.file, text)
    await server.restart()
    t.equal(server.guard.facts().highest, server.state.signed, text)
    server.state.now = today - day
    t.match(await server.sign(), /already/)
    server.state.now = today + 367 * day
    t.match(await server.sign(), /--accept/)
    server.state.now = today
  }
})

t.test('where it is asked for, nothing is signed before the clock is synchronised', async (t) => {
  let answer = false
  let asked = 0
  const ask = async () => {
    asked += 1
    return answer
  }
  const server = await school(t, { synchronised: true, ask })
  t.match(await server.sign(), /does not say that its clock is synchronised/)
  t.equal(server.guard.facts().synchronised, false)
  answer = true
  await Promise.all(Array.from({ length: 100 }, () => server.guard.obstacle()))
  t.equal(asked, 1, 'the system is asked once a minute')
  await server.restart()
  t.equal(await server.sign(), 'signed')
  t.equal(server.guard.facts().synchronised, true)
  const other = await school(t, { ask })
  asked = 0
  t.equal(await other.sign(), 'signed')
  t.equal(asked, 0)
  server.state.now = 0
  t.match(await server.sign(), /before this software/, 'a synchronised clock that is wrong is wrong')
})

t.test('what the system says of its clock is taken at its word, and nothing else is', async (t) => {
  const folder = temporaryDirectorySync(t)
  const stand = (name: string, body: string) => {
    const path = join(folder, name)
    writeFileSync(path, `#!/bin/sh\n${body}\n`)
    chmodSync(path, 0o755)
    return path
  }
  t.equal(
    await isSynchronised(stand('good', '[ "$*" = "show --property=NTPSynchronized --value" ] && echo yes')),
    true,
  )
  t.equal(await isSynchronised(stand('bad', 'echo no')), false)
  const byFile = existsSync('/run/systemd/timesync/synchronized')
  t.equal(await isSynchronised(stand('fails', 'echo yes; exit 1')), byFile)
  t.equal(await isSynchronised(stand('babbles', 'echo perhaps')), byFile)
  t.equal(await isSynchronised(stand('floods', 'yes')), byFile)
  t.equal(await isSynchronised(join(folder, 'none')), byFile)
  const began = performance.now()
  t.equal(await isSynchronised(stand('hangs', 'exec sleep 60')), byFile)
  t.ok(performance.now() - began < 20_000, 'it is not waited for')
})

t.test('asking costs next to nothing', async (t) => {
  const server = await school(t)
  await server.sign()
  const began = performance.now()
  for (let count = 0; count < 10_000; count += 1) await server.guard.obstacle()
  const each = (performance.now() - began) / 10
  t.comment(`${each.toFixed(2)} microseconds`)
  t.ok(each < 100)
})

t.test('a full disk stops no signature; accepting waits for room', async (t) => {
  const disk = smallDisk(t)
  if (disk === undefined) return
  const server = await school(t, { file: join(disk, 'clock.json') })
  t.equal(await server.sign(), 'signed')
  const empty = fill(disk)
  server.state.now = today + 60 * minute
  t.equal(await server.sign(), 'signed')
  t.match(server.guard.facts(), { highest: new Date(server.state.now).toISOString(), unkept: /ENOSPC/ })
  server.state.now = today + 400 * day
  await t.rejects(server.guard.accept(), { code: 'NO_SPACE', hint: /make room/ })
  t.match(await server.guard.obstacle(), /--accept/, 'what was not kept does not count')
  empty()
  await server.guard.accept()
  t.equal(await server.sign(), 'signed')
  t.equal(server.guard.facts().unkept, undefined)
  await server.restart()
  t.equal(await server.sign(), 'signed')
})

t.test('by a clock that cannot be trusted nothing has passed: that is said first', async (t) => {
  let time = new Date('2027-01-01T12:00:00Z')
  const { service } = await openDesk(t, { keys: [['lease', 'lease']], now: () => time })
  const ask = { ...xo, expiry: '20270601T000000Z', by: 'test' }
  time = new Date('2027-03-01T12:00:00Z')
  await service.keyring.lease(ask)
  time = new Date('2027-01-01T12:00:00Z')
  const behind = {
    code: 'UNAVAILABLE',
    message: /nothing is signed now: the clock says 2027-01-01 12:00, but/,
  }
  const type = (until: string) =>
    lease(service, {
      ...{ options: { until, bundle: false, to: '' }, signal: new AbortController().signal },
      ...{ note: () => undefined, write: () => undefined, deliver: async () => undefined },
      async *files() {
        yield { path: 'list', bytes: Buffer.from(`${xo.serial},${xo.uuid}\n`) }
      },
    })
  for (const until of ['2027-02-01', '2027-06-01']) await t.rejects(type(until), behind, until)
  await t.rejects(service.keyring.lease({ ...ask, expiry: '20270201T000000Z' }), behind)
  time = new Date('2027-03-01T12:00:00Z')
  await t.rejects(type('2027-02-01'), { code: 'USAGE', message: '2027-02-01 has passed already' })
})
