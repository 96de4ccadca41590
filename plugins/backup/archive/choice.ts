import { RequestError, SugarError } from '../../../core/api.js'
import { type Shelf, timeOf } from './shelf.js'

/**
 * The snapshot that is meant.
 * @param at its id; a date or time (`2026-11-20`, `2026-11-20T10:11`, UTC) for the newest one by then; `latest`.
 *   Not said, it is the newest, or, while the brake holds one, that one: whoever restores after most of a Journal
 *   went wants what was there before.
 * @throws RequestError NOT_FOUND
 */
export function choose(shelf: Shelf, at?: string): string {
  const ids = shelf.ids()
  const newest = ids.at(-1)
  if (newest === undefined) throw new RequestError('NOT_FOUND', 'there is no snapshot yet')
  if (at === 'latest') return newest
  if (at === undefined) return heldInstead(shelf, ids) ?? newest
  if (ids.includes(at)) return at
  const end = endOf(at)
  const found = ids.findLast((id) => Date.parse(timeAt(shelf, id)) < end)
  if (found !== undefined) return found
  throw new RequestError('NOT_FOUND', `there is no snapshot of ${at} or before`, {
    hint: `the oldest is ${ids[0]}; "sugar-server backup snapshots USER" lists them`,
  })
}

/** What was there before most of a Journal went. Of two laptops that back up in turns it would be the other one's. */
function heldInstead(shelf: Shelf, ids: readonly string[]): string | undefined {
  const braked = ids.findLast((id) => shelf.held(id).some(({ by }) => by === 'brake'))
  const isInTurns = braked !== undefined && shelf.held(braked).some(({ inTurns }) => inTurns === true)
  return isInTurns ? undefined : braked
}

/** When a snapshot was taken; its id says it too, but for one that was taken by a clock that was set back. */
function timeAt(shelf: Shelf, id: string): string {
  try {
    return shelf.header(id).at
  } catch (error) {
    if (error instanceof SugarError && error.code === 'DAMAGED') return timeOf(id)
    throw error
  }
}

const dateForm = /^(\d{4}-\d{2}-\d{2})(?:[T ](\d{2}:\d{2})(?::(\d{2}))?Z?)?$/

/** When a date, or the minute or second of a time, is over. */
function endOf(at: string): number {
  const [, date = '', minute, second] = dateForm.exec(at) ?? []
  const time = `${date}T${minute ?? '00:00'}:${second ?? '00'}.000Z`
  const start = Date.parse(time)
  // A 30th of February would pass for the 2nd of March.
  if (Number.isNaN(start) || new Date(start).toISOString() !== time) {
    throw new RequestError('USAGE', `"${at}" is neither a snapshot nor a date`, {
      hint: 'write 2026-11-20, 2026-11-20T10:11, or an id that "sugar-server backup snapshots USER" lists',
    })
  }
  if (minute === undefined) return start + 86_400_000
  return start + (second === undefined ? 60_000 : 1000)
}
