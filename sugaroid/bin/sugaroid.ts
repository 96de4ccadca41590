#!/usr/bin/env node
import { setImmediate } from 'node:timers/promises'
import { main } from '../command.js'
import { exit } from '../exit.js'
import { openTerminal } from '../terminal.js'

// A reader that has seen enough, such as `| head -1`, is no error.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') return
  process.stderr.write(`sugaroid: what it says cannot be written: ${error.message}\n`)
  process.exit(exit.IOERR)
})

const terminal = openTerminal({ print: process.stdout, warn: process.stderr })
const code = await main(process.argv.slice(2), terminal)
// What could not be written is known a moment later.
await setImmediate()
// Not left to the event loop: a name server that does not answer would hold it for half a minute.
process.exit(code)
