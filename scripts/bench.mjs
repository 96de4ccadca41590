// npm run bench -- NAME ...: runs a bench of bench/, ours and its peers in turn. What follows is for the bench.
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { home, must, setUp } from './setup.mjs'

const names = readdirSync(join(home, 'bench'))
  .filter((name) => name.endsWith('.ts'))
  .map((name) => name.slice(0, -3))
const [name, ...args] = process.argv.slice(2)
if (!names.includes(name)) {
  console.error(`usage: npm run bench -- ${names.join(' | ')} [...]`)
  process.exit(64)
}
setUp()
must(process.execPath, [join(home, 'dist', 'bench', `${name}.js`), ...args])
