import { RequestError } from '../../../core/api.js'
import { readHeader } from './manifest.js'
import type { Shelf } from './shelf.js'

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
  if (at === undefined) return ids.findLast((id) => shelf.held(id)?.by === 'brake') ?? newest
  if (ids.includes(at)) return at
  const end = endOf(at)
  const found = ids.findLast((id) => Date.parse(readHeader(shelf.path(id)).at) < end)
  if (found !== undefined) return found
  throw new RequestError('NOT_FOUND', `there is no snapshot of ${at} or before`, {
    hint: `the oldest is ${ids[0]}; "sugar-server backup snapshots USER" lists them`,
  })
}

const dateForm = /^\d{4}-\d{2}-\d{2}(?:[T ](\d{2}):(\d{2})(?::(\d{2}))?Z?)?$/

/** When a date, or the minute or second of a time, is over. */
function endOf(at: string): number {
  const found = dateForm.exec(at)
  const [, hour, , second] = found ?? []
  const start =
    hour === undefined ? Date.parse(`${at}T00:00Z`) : Date.parse(`${at.replace(' ', 'T').replace(/Z$/, '')}Z`)
  if (found === null || Number.isNaN(start)) {
    throw new RequestError('USAGE', `"${at}" is neither a snapshot nor a date`, {
      hint: 'write 2026-11-20, 2026-11-20T10:11, or an id that "sugar-server backup snapshots USER" lists',
    })
  }
  if (hour === undefined) return start + 86_400_000
  return start + (second === undefined ? 60_000 : 1000)
}
