import { mock } from 'node:test'
import fc from 'fast-check'
import t from 'tap'
import { Turns } from '../../../../plugins/backup/session/turns.js'
import { runs } from '../../../support/rounds.js'

const never = new AbortController().signal

t.test('one writes, or any number read, in the order in which they came', async (t) => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.constantFrom('write', 'read'), { minLength: 1, maxLength: 12 }),
      async (modes) => {
        const turns = new Turns()
        const begun: number[] = []
        let readers = 0
        let writers = 0
        await Promise.all(
          modes.map(async (mode, at) => {
            const leave = await turns.take('a', mode, never)
            begun.push(at)
            if (mode === 'write') writers += 1
            else readers += 1
            if (writers > 1 || (writers === 1 && readers > 0)) throw new Error('together')
            await new Promise((resolve) => setImmediate(resolve))
            if (mode === 'write') writers -= 1
            else readers -= 1
            leave()
            leave()
          }),
        )
        return begun.every((at, index) => at === index)
      },
    ),
    runs(100),
  )
  t.pass('they do')
})

t.test('learners do not wait for one another', async (t) => {
  const turns = new Turns()
  await turns.take('a', 'write', never)
  ;(await turns.take('b', 'write', never))()
  t.pass('b had its turn while a was writing')
})

t.test('who hangs up while waiting is out of the way of those behind', async (t) => {
  const turns = new Turns()
  const leave = await turns.take('a', 'read', never)
  const hangUp = new AbortController()
  const writer = turns.take('a', 'write', hangUp.signal)
  const reader = turns.take('a', 'read', never)
  hangUp.abort()
  await t.rejects(writer, { code: 'UNAVAILABLE', message: /hung up/ })
  ;(await reader)()
  leave()
  ;(await turns.take('a', 'write', never))()
  await t.rejects(turns.take('a', 'write', AbortSignal.abort()))
})

t.test('nobody waits longer than his rsync does', async (t) => {
  const turns = new Turns()
  mock.timers.enable({ apis: ['setTimeout'] })
  t.teardown(() => mock.timers.reset())
  const leave = await turns.take('a', 'write', never)
  const late = turns.take('a', 'read', never)
  mock.timers.tick(90_000)
  await t.rejects(late, { code: 'UNAVAILABLE', message: /another backup of this laptop/ })
  leave()
})
