import type { Chapter } from '../../core/api.js'
import { shortened } from './fetch/failures.js'
import type { Fetches } from './fetch/fetches.js'
import type { Disk } from './lru/disk.js'
import type { Room } from './lru/room.js'
import type { Source } from './sources/source.js'
import { amount, time } from './text.js'

interface Parts {
  readonly sources: readonly Source[]
  readonly fetches: Fetches
  readonly room: Room
  /** Of the builds. */
  readonly disk: Disk
  /** Bytes of all fetched builds. */
  readonly limit: number
}

/** Failures and fetches that are named one by one; more are counted. */
const named = 20

/** Upgrade's part of `sugar-server status`. */
export function statusOf({ sources, fetches, room, disk, limit }: Parts): Chapter {
  const { fetched } = room
  const free = disk.freeNow()
  const contacts = fetches.contacts.list()
  const under = fetches.all().map(({ name, stage, source, bytes, total, waiting, words }) => ({
    ...{ name, stage, source, bytes, waiting, words },
    total: total ?? null,
  }))
  const failures = fetches
    .failed()
    .map(({ name, why, until }) => ({ name, why, until: new Date(until).toISOString() }))
  const lines = [
    `fetched    ${amount(fetched)} of ${amount(limit)}; ${amount(free)} of the disk are free`,
    ...(sources.length === 0 ? ['sources    none: what is not here cannot be fetched'] : []),
    ...sources.map(({ shown }) => {
      const last = contacts.find(({ source }) => source === shown)
      if (last === undefined) return `source     ${shown}: not asked yet`
      return `source     ${shown}: ${last.fault ?? 'answers'} (${time(last.at)} UTC)`
    }),
    ...under
      .slice(0, named)
      .map(({ name, words, waiting }) => `now        build-${name} ${words}; ${waiting} wait for it`),
    ...failures.slice(-named).map(({ name, why }) => `failed     build-${name} ${shortened(why)}`),
  ]
  const more = Math.max(0, under.length - named) + Math.max(0, failures.length - named)
  if (more > 0) lines.push(`and ${more} more`)
  return {
    lines,
    facts: { fetched, limit, free, sources: sources.map(({ shown }) => shown), contacts, under, failures },
  }
}
