import { join } from 'node:path'
import { inTurn } from '../support/turns.js'
import { inMegabytes, say, sayRatio, sayTimes, secondsOf } from '../support/words.js'
import { pull } from './pull.js'
import type { Stage } from './stage.js'
import { publishTree } from './tree.js'

/** Files of a system: 500 MB. */
export const files = (stage: Stage): Promise<void> => compare(stage, 'files', { count: 2000, size: 250_000 })

/** Many that are small. */
export const small = (stage: Stage): Promise<void> => compare(stage, 'small', { count: 20_000, size: 1000 })

async function compare(stage: Stage, name: string, tree: { count: number; size: number }): Promise<void> {
  const { ours, daemon, rounds, folder } = stage
  await publishTree(stage, name, tree)
  say(
    name,
    `${tree.count} files, ${inMegabytes(tree.count * tree.size)}: rsync -aH --numeric-ids, to where nothing is`,
  )
  const to = join(folder, 'to')
  const taken = await inTurn(rounds, {
    peer: () => pull(daemon, `${name}/`, to),
    ours: () => pull(ours, `${name}/`, to),
  })
  sayTimes('rsync --daemon', taken.peer)
  sayTimes('ours', taken.ours)
  const throughput = secondsOf(taken.peer) / secondsOf(taken.ours)
  sayRatio(`throughput, ours / rsync --daemon, ${name}`, throughput, 'at least 0.95')
}
