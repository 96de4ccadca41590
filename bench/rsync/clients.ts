import { join } from 'node:path'
import { inTurn, type Taken } from '../support/turns.js'
import { inMegabytes, say, sayRatio, sayTimes, secondsOf } from '../support/words.js'
import { pull } from './pull.js'
import type { Side, Stage } from './stage.js'
import { publishTree } from './tree.js'

const together = 8
const tree = { count: 1000, size: 250_000 }

/** Several at once, until the last one has all. */
export async function clients(stage: Stage): Promise<void> {
  const { ours, daemon, rounds, folder } = stage
  await publishTree(stage, 'class', tree)
  say('clients', `${together} at once, ${inMegabytes(tree.count * tree.size)} each`)
  const all = async (side: Side): Promise<Taken> => {
    const each = Array.from({ length: together }, (_, at) => pull(side, 'class/', join(folder, `to-${at}`)))
    return { seconds: Math.max(...(await Promise.all(each)).map(({ seconds }) => seconds)) }
  }
  const taken = await inTurn(rounds, { peer: () => all(daemon), ours: () => all(ours) })
  sayTimes('rsync --daemon', taken.peer)
  sayTimes('ours', taken.ours)
  const throughput = secondsOf(taken.peer) / secondsOf(taken.ours)
  sayRatio(`throughput, ours / rsync --daemon, ${together} clients`, throughput, 'at least 0.95')
}
