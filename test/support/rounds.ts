import { randomInt } from 'node:crypto'
import t from 'tap'

/**
 * How often a test repeats what has chance in it. A push runs some rounds, `npm run soak` (SOAK=1) all of them; each
 * kind of event and each named moment is in both.
 */
export const isSoak = process.env.SOAK === '1'

/** Where all random choices of the tests start; another one each run. TEST_SEED=N repeats a run. */
export const seed = Number(process.env.TEST_SEED ?? randomInt(1_000_000))
if (!Number.isSafeInteger(seed)) throw new Error('TEST_SEED is not a whole number')

t.comment(`seed ${seed}: TEST_SEED=${seed}${isSoak ? ' SOAK=1' : ''} repeats this run`)

/** @param all rounds of a soak @param few rounds of a push */
export const rounds = (all: number, few: number): number => (isSoak ? all : Math.min(all, few))

/** fast-check's parameters: the seed, and `all` runs in a soak; in a push a fifth of them, but 100 at least. */
export const runs = (all: number): { numRuns: number; seed: number } => ({
  numRuns: rounds(all, Math.max(100, Math.ceil(all / 5))),
  seed,
})

/**
 * A number from a range that is cut into as many parts as there are rounds: one random number from each part, so that
 * few rounds too are spread over the whole range.
 */
export const spread = (random: () => number, round: number, of: number, range: number): number =>
  ((round + random()) / of) * range
