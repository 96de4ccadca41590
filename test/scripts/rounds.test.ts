import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { isSoak, rounds, runs, seed, spread } from '../support/rounds.js'

const folder = fileURLToPath(new URL('../../../test', import.meta.url))

t.test('rounds and seed of property tests come from one place', async (t) => {
  const files = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((path) =>
    path.endsWith('.ts'),
  )
  const own = files.filter((path) => /\bnumRuns: (?!count\b)/.test(readFileSync(join(folder, path), 'utf8')))
  t.strictSame(
    own.toSorted(),
    ['scripts/rounds.test.ts', 'support/rounds.ts'],
    'use runs() of test/support/rounds.ts',
  )
})

t.test('a push runs fewer rounds, a soak all, and few are spread over the whole range', async (t) => {
  t.equal(rounds(50, 15), isSoak ? 50 : 15)
  t.equal(rounds(3, 15), 3)
  t.same(runs(60), { numRuns: 60, seed })
  t.same(runs(10_000), { numRuns: isSoak ? 10_000 : 2000, seed })
  const found = [0, 1, 2, 3].map((round) => spread(() => 0.5, round, 4, 100))
  t.same(found, [12.5, 37.5, 62.5, 87.5])
})
