import { readdirSync, readFileSync } from 'node:fs'
import { basename, dirname } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'

const folder = fileURLToPath(new URL('../../../test', import.meta.url))
const files = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((path) =>
  /\.(?:ts|py)$/.test(path),
)
const helpers = files.filter((path) => !path.endsWith('.test.ts') && !path.endsWith('.types.ts'))

t.test('helpers have one home, one name each, and a list', async (t) => {
  t.ok(helpers.length > 50, `${helpers.length} helpers`)
  t.strictSame(
    helpers.filter((path) => !path.startsWith('support/')),
    [],
    'a helper belongs in test/support',
  )
  const names = helpers.map((path) => basename(path))
  t.strictSame(
    names.filter((name, index) => names.indexOf(name) !== index),
    [],
    'two helpers of one name',
  )
  const list = readFileSync(`${folder}/support/README.md`, 'utf8')
  const listed = [...list.matchAll(/^\| `([^`]+)` \|/gm)].map(([, path]) => `support/${path}`)
  t.strictSame(listed.toSorted(), helpers.toSorted(), 'the list in test/support/README.md is complete')
  for (const room of new Set(helpers.map(dirname)))
    t.ok(helpers.filter((path) => dirname(path) === room).length <= 15, `${room} has 15 files at most`)
})
