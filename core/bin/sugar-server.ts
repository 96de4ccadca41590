#!/usr/bin/env node
import { bearLostReaders, delivered } from '../cli/delivery.js'
import { quick } from '../cli/quick.js'

// Nothing heavy is imported before it is known what was asked for: each command imports what it needs.
const argv = process.argv.slice(2)
const quickly = await quick(argv)
bearLostReaders()

if (argv.length === 1 && argv[0] === '--version') {
  const { version } = await import('../version.js')
  process.stdout.write(`${version}\n`)
} else {
  const main = async () => (await import('../cli/main.js')).main(argv)
  process.exitCode = await delivered(quickly ?? (await main()))
  // A plugin's forgotten timer must not keep an ended server alive.
  process.exit()
}
