/** How many snapshots are kept, of which kind. */
export interface KeepRules {
  readonly last: number
  readonly daily: number
  readonly weekly: number
  readonly monthly: number
}

/** What the rules see of a snapshot. */
export interface Keepable {
  readonly id: string
  /** ISO 8601, by the server's clock. */
  readonly at: string
  /** Why an operator or the brake holds it. */
  readonly held?: string | undefined
  readonly damaged?: boolean | undefined
  /** Whether a power cut may have torn it. */
  readonly unconfirmed?: boolean | undefined
  /** Its session left something out of what the laptop had. */
  readonly incomplete?: boolean | undefined
}

export interface Judged {
  readonly id: string
  readonly at: string
  readonly keep: boolean
  /** Why it is kept, or why it goes. */
  readonly reasons: readonly string[]
}

const periods = [
  ['daily', (at: Date) => at.toISOString().slice(0, 10)],
  ['weekly', week],
  ['monthly', (at: Date) => at.toISOString().slice(0, 7)],
] as const

/**
 * Says which snapshots of one learner are kept: the newest so many, the newest of each of so many days, weeks and
 * months that have any, the newest whole one whatever the rules say, and all on hold. A day, week or month is stood for
 * by its newest complete one, where it has one. The newest of all stays too: what it has may be nowhere else.
 * @param snapshots oldest first
 */
export function judge(snapshots: readonly Keepable[], rules: KeepRules): Judged[] {
  const reasons = new Map<string, string[]>(snapshots.map(({ id }) => [id, []]))
  const newest = [...snapshots].reverse()
  const give = (one: Keepable | undefined, reason: string) => one && reasons.get(one.id)?.push(reason)
  const whole = newest.filter(({ damaged }) => damaged !== true)
  const good = whole.find(({ unconfirmed, incomplete }) => unconfirmed !== true && incomplete !== true)
  give(good, 'the last good one')
  const last = whole[0] === good ? undefined : whole[0]
  give(
    last,
    last?.incomplete === true
      ? 'the newest one, though incomplete'
      : 'the newest, until the laptop has come again',
  )
  for (const one of newest) if (one.held !== undefined) give(one, `on hold: ${one.held}`)
  newest.slice(0, rules.last).forEach((one, index) => {
    give(one, `one of the last ${rules.last} (${index + 1})`)
  })
  for (const [name, periodOf] of periods) {
    const chosen = new Map<string, Keepable>()
    for (const one of newest) {
      const period = periodOf(new Date(one.at))
      const other = chosen.get(period)
      if (
        other === undefined ? chosen.size < rules[name] : other.incomplete === true && one.incomplete !== true
      )
        chosen.set(period, one)
    }
    for (const [period, one] of chosen) give(one, `${name}: the last of ${period}`)
  }
  return snapshots.map(({ id, at }) => {
    const why = reasons.get(id) ?? []
    return { id, at, keep: why.length > 0, reasons: why.length > 0 ? why : ['no rule keeps it'] }
  })
}

/** The week of a date, as ISO 8601 numbers them: `2026-W47`. */
function week(at: Date): string {
  const day = new Date(Date.UTC(at.getUTCFullYear(), at.getUTCMonth(), at.getUTCDate()))
  // A week belongs to the year of its Thursday.
  day.setUTCDate(day.getUTCDate() + 4 - (day.getUTCDay() || 7))
  const number = Math.ceil(((day.getTime() - Date.UTC(day.getUTCFullYear(), 0, 1)) / 86_400_000 + 1) / 7)
  return `${day.getUTCFullYear()}-W${String(number).padStart(2, '0')}`
}
