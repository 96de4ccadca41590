/**
 * A whole kernel in a process of its own, for tests that kill it: kernel-process.js <root>. It says `ready`.
 */
import { writeSync } from 'node:fs'
import { definePlugin } from '../../../core/api.js'
import { boot } from '../../../core/testing.js'

const patient = definePlugin({
  name: 'patient',
  api: 1,
  summary: 'Has commands that never end.',
  commands: { silent: { summary: 'Says nothing.' }, talking: { summary: 'Says something.' } },
  start: (ctx) => {
    const forever = () => new Promise<void>(() => undefined)
    ctx.command('silent', () => {
      writeSync(1, 'asked\n')
      return forever()
    })
    ctx.command('talking', (call) => {
      call.print('it goes on')
      return forever()
    })
  },
})

await boot({ plugins: [patient], root: process.argv[2] ?? '' })
writeSync(1, 'ready\n')
