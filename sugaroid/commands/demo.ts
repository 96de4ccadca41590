import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { defineCommand } from '../command.js'
import { farewell, laptopsDay, StepFailed } from '../demo.js'
import { exit } from '../exit.js'
import { ports } from '../laptop.js'
import { numberOption } from '../options.js'
import { printable } from '../printable.js'
import { parseServer } from '../server.js'

export const command = defineCommand({
  summary: "live a laptop's day against a running server: register, back up, lose all, restore, compare",
  options: {
    server: { value: 'HOST[:PORT]', help: 'where registration listens (default: 127.0.0.1:8080)' },
    entries: { value: 'N', help: 'how many entries the Journal has (default: 100)' },
    keep: {
      help: "keep the laptop's home and its learner on the server; else both are taken away at the end",
    },
  },
  async run(given, terminal) {
    const server = parseServer(given.server ?? '127.0.0.1', ports.xmlrpc)
    const entries = numberOption('entries', given.entries ?? '100', { least: 1, most: 100_000 })
    const home = await mkdtemp(join(tmpdir(), 'sugaroid-demo-'))
    const waiting = (seconds: number) => terminal.print(`the server is busy: waiting ${seconds} s`)
    const settling = () => terminal.print('the server takes its snapshot: waiting until it has')
    const day = laptopsDay(home, { server, entries, waiting, settling })
    for (const { name, run } of given.keep ? day : [...day, farewell(home, server)]) {
      const started = performance.now()
      try {
        const happened = await run()
        const seconds = ((performance.now() - started) / 1000).toFixed(1)
        terminal.print(`${name.padEnd(16)} ${printable(happened)} (${seconds} s)`)
      } catch (error) {
        terminal.warn(`${name}: the laptop's home is kept in ${home}`)
        if (!(error instanceof StepFailed)) throw error
        terminal.warn(`  ${printable(error.message)}`)
        return exit.PROTOCOL
      }
    }
    terminal.print('All that was lost is back.')
    if (given.keep) terminal.print(`The laptop's home is ${home}; its learner stays registered.`)
    else await rm(home, { recursive: true, force: true })
    return exit.OK
  },
})
