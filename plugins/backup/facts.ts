import type { Users } from '../id/public.js'
import type { Facts } from './admission/admission.js'
import { loadPerCpu } from './admission/load.js'
import type { Form } from './admission/question.js'
import { roomIn } from './admission/space.js'
import type { Ledger, LedgerDoc } from './session/ledger.js'
import type { Marks } from './session/marks.js'

interface Parts {
  users: Users
  ledger: Ledger
  marks: Marks
  /** Directory of the archive. */
  path: string
  /** Percentage of the disk that is kept free. */
  reserve: number
  /** Why the archive cannot be used now. */
  away(): string | undefined
  /** Whether the archive has what the ledger says of a learner. */
  isKept(doc: LedgerDoc): boolean
  /** What is wrong with the share of the disk that all backups have together. */
  overall(): string | undefined
  draining(): boolean
}

/** Names that all machines of a kind have (docs/reference/protocols.md: registration, Identity). */
const everybodys = new Set(['SHF00000000', '00000000-0000-0000-0000-000000000000'])

/** A learner who is over quota may try again, since only a backup shows that something was deleted. */
const lenience = 3_600_000

/** What admission asks, answered from the ledger and the machine. */
export function factsOf({
  users,
  ledger,
  marks,
  path,
  reserve,
  overall,
  draining,
  away,
  isKept,
}: Parts): Facts {
  return {
    async learners(who: string, form: Form) {
      // Nobody can say whose it is: the key will tell when the laptop comes.
      if (everybodys.has(who.toUpperCase())) return [{ uid: `${who} 1` }, { uid: `${who} 2` }]
      const found = await users.find(who)
      const serial = who.toUpperCase()
      return form === 'serial' ? found.filter(({ serials }) => serials.includes(serial)) : found
    },
    lastGood(uid) {
      return past(ledger.get(uid)?.lastGood)
    },
    digest(uid) {
      const mark = marks.get(uid)
      const doc = ledger.get(uid)
      // Another archive may lie there than the one that the ledger speaks of.
      if (doc === undefined || (mark !== undefined && mark !== 'aside') || !isKept(doc)) return undefined
      return doc.digest || undefined
    },
    refusal(uid) {
      const doc = ledger.get(uid)
      const over = doc?.flags.find(({ flag }) => flag === 'over-quota')
      if (over === undefined) return undefined
      const last = past(doc?.lastGood) ?? past(over.since)
      return last !== undefined && Date.now() - last < lenience
        ? `your share of the school server is used up: ${over.why}; delete what you no longer need`
        : undefined
    },
    async away() {
      return away()
    },
    async space() {
      return overall() ?? (await roomIn(path, reserve))
    },
    load: loadPerCpu,
    draining,
  }
}

/** A date that is still to come was written by a clock that was ahead, and says nothing. */
function past(date: string | undefined): number | undefined {
  const at = Date.parse(date ?? '')
  return at <= Date.now() ? at : undefined
}
