#!/usr/bin/env node
// Nothing heavy is imported before it is known what was asked for: each command imports what it needs.
const argv = process.argv.slice(2)

if (argv.length === 1 && argv[0] === '--version') {
  const { version } = await import('../version.js')
  process.stdout.write(`${version}\n`)
} else {
  const [{ main }, { bearLostReaders, delivered }] = await Promise.all([
    import('../cli/main.js'),
    import('../cli/delivery.js'),
  ])
  bearLostReaders()
  process.exitCode = await delivered(await main(argv))
  // A plugin's forgotten timer must not keep an ended server alive.
  process.exit()
}
