// npm run test:node -- MAJOR PART...: runs test files with another Node, such as 22 or 24, that npm brings. Without PART
// those that show whether it serves at all.
import { must, setUp } from './setup.mjs'

/** Each of these starts servers, speaks to them, and loads what depends on Node the most. */
const smoke = [
  'kernel/',
  'http/listener',
  'sugaroid/wire',
  'sugaroid/remote-shell',
  'system/machine',
  'backup/demo',
]

const [major, ...parts] = process.argv.slice(2)
if (!/^\d{2}$/.test(major ?? '')) {
  console.error('usage: npm run test:node -- MAJOR [PART...], such as 22 or 24')
  process.exit(64)
}
// By this Node: what is built is the same for all.
setUp()
// npm's package "node" only fetches this one, by a script at its installation.
const node = `node-linux-${process.arch}@${major}`
const words = ['scripts/test.mjs', ...(parts.length > 0 ? parts : smoke)]
must('npm', ['exec', '--yes', `--package=${node}`, '--', 'node', ...words])
