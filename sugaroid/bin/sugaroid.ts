#!/usr/bin/env node
import { main } from '../command.js'
import { openTerminal } from '../terminal.js'

// A reader that has seen enough, such as `| head -1`, is no error.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error
})

const terminal = openTerminal({ print: process.stdout, warn: process.stderr })
const code = await main(process.argv.slice(2), terminal)
// Not left to the event loop: a name server that does not answer would hold it for half a minute.
process.exit(code)
