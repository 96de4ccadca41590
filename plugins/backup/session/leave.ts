import { type Logger, RequestError, removeTree } from '../../../core/api.js'
import type { Archivist } from '../archive/archivist.js'
import type { Keeper } from './keeper.js'
import type { Ledger } from './ledger.js'
import type { Marks } from './marks.js'
import type { Turns } from './turns.js'

interface Parts {
  readonly archivist: Archivist
  readonly keeper: Keeper
  readonly ledger: Ledger
  readonly log: Logger
  readonly marks: Marks
  readonly turns: Turns
}

/** Milliseconds that a session under way has to end. */
const patience = 30_000

/**
 * Takes away all that is kept of a learner: what it sent last, its snapshots, and what the ledger says of it. Contents
 * that no snapshot has any more go with the daily pruning.
 * @throws RequestError UNAVAILABLE when a session of the learner does not end
 */
export async function forgetLearner(uid: string, parts: Parts): Promise<void> {
  const { archivist, keeper, ledger, log, marks, turns } = parts
  const leave = await turns.take(uid, 'write', AbortSignal.timeout(patience)).catch((cause: unknown) => {
    throw new RequestError('UNAVAILABLE', 'a backup of this laptop is under way; try again later', { cause })
  })
  try {
    // Before what it tells of: nothing may be said to be here that is not.
    await ledger.remove(uid)
    const aside = await archivist.run('forget', { uid })
    marks.clear(uid)
    // The removal takes a while; the caller need not wait for it.
    const removed = removeTree(aside).catch((error: unknown) =>
      log.error({ err: error }, `${aside} could not be removed; the next start tries again`),
    )
    keeper.follow(uid, removed)
  } finally {
    leave()
  }
}
