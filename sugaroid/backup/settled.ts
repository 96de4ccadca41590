import { setTimeout } from 'node:timers/promises'
import { digestJournal } from '../journal/digest.js'
import { datastoreOf } from '../journal/layout.js'
import { openAccount } from './account.js'
import { askPermission, pathByUuid } from './question.js'

/** Milliseconds: the first pause between questions, the longest one, and altogether. */
const shortest = 100
const longest = 2000
const patience = 300_000

export interface SettledOptions {
  /** `HOST[:HTTPPORT]` in place of what registration left behind. */
  readonly server?: string | undefined
  /** Told once, before the first pause. */
  readonly waiting?: (() => void) | undefined
  /** Milliseconds to wait altogether; five minutes when not given. */
  readonly patience?: number | undefined
}

/**
 * Waits until the server has worked in what this Journal's last backup brought: from then on it answers that it has the
 * Journal already. That is its snapshot, which is taken while the laptop goes on.
 * @returns seconds that it took; undefined when it had not come to that in the time there was
 */
export async function untilSettled(home: string, options: SettledOptions = {}): Promise<number | undefined> {
  const { place, uuid } = await openAccount(home, options.server)
  const { sha256 } = await digestJournal(datastoreOf(home))
  const began = performance.now()
  const waited = () => performance.now() - began
  const path = pathByUuid(uuid, sha256)
  for (let pause = shortest; ; pause = Math.min(longest, pause * 2)) {
    const answer = await askPermission(place.http, path, 'HEAD')
    if (answer.outcome === 'unchanged') return waited() / 1000
    if (waited() + pause > (options.patience ?? patience)) return undefined
    if (pause === shortest) options.waiting?.()
    await setTimeout(pause)
  }
}
