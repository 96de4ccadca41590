import { spawn } from 'node:child_process'
import t, { type Test } from 'tap'
import type { PaceLimits, RequestError } from '../../../../core/api.js'
import { limitWords } from '../../../../core/api.js'
import { watchPace } from '../../../../plugins/backup/session/deadline.js'
import { until } from '../../../support/core/server-process.js'

const long = 3_600_000
const patient: PaceLimits = { idle: long, start: long, rate: 1, total: long }

/** Watches a program until it is to be ended. @returns why */
async function watched(t: Test, script: string, limits: Partial<PaceLimits>): Promise<RequestError> {
  const child = spawn('sh', ['-c', script], { stdio: 'ignore', detached: true })
  t.teardown(() => process.kill(-(child.pid ?? 0), 'SIGKILL'))
  let reason: RequestError | undefined
  const stop = watchPace(child.pid ?? 0, { ...patient, ...limits }, (why) => {
    reason = why
  })
  t.teardown(stop)
  await until(() => reason !== undefined, 'the end of it')
  return reason as unknown as RequestError
}

/** A program under another one, as rsync is under those that confine it, that moves 4 KB each tenth of a second. */
const moving = 'sh -c "while :; do head -c 4096 /dev/zero >/dev/null; sleep 0.1; done"; true'

t.test('a session in which nothing moves is ended', async (t) => {
  const { message, exitCode } = await watched(t, 'exec sleep 600', { idle: 500 })
  t.equal(message, 'nothing has moved for too long')
  t.equal(exitCode, 75, 'the laptop may try again')
})

t.test('one that moves is not, but must move enough, and has an end', async (t) => {
  const slow = await watched(t, moving, { idle: 3000, start: 4000, rate: 1e9 })
  t.equal(slow.message, 'too little has moved for so long a time')
  const late = await watched(t, moving, { idle: 3000, total: 5000 })
  t.equal(late.message, 'the transfer has taken too long')
})

t.test('a process that takes too much processor time or memory is ended by the system', async (t) => {
  const run = (limits: Parameters<typeof limitWords>[0], ...command: string[]) =>
    new Promise<{ code: number | null; signal: string | null }>((resolve) => {
      const [program = '', ...args] = [...limitWords(limits), ...command]
      const child = spawn(program, args, { stdio: 'ignore' })
      child.once('close', (code, signal) => resolve({ code, signal }))
    })
  const enough = { memory: 256 << 20, cpu: 60 }
  t.same(await run(enough, 'true'), { code: 0, signal: null })
  const spins = await run({ ...enough, cpu: 1 }, 'sh', '-c', 'while :; do :; done')
  t.match(spins.signal, /SIGKILL|SIGXCPU/)
  const hoards = await run(enough, 'sh', '-c', 'head -c 400000000 /dev/zero | tail -n 1 >/dev/null')
  t.not(hoards.code, 0)
})
