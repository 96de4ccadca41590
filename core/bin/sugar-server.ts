#!/usr/bin/env node
import { bearLostReaders, delivered } from '../cli/delivery.js'

// Nothing heavy is imported before it is known what was asked for: each command imports what it needs.
const argv = process.argv.slice(2)
bearLostReaders()

if (argv.length === 1 && argv[0] === '--version') {
  const { version } = await import('../version.js')
  process.stdout.write(`${version}\n`)
} else {
  const { main } = await import('../cli/main.js')
  process.exitCode = await delivered(await main(argv))
  // A plugin's forgotten timer must not keep an ended server alive.
  process.exit()
}
