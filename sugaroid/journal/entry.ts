import { createHash } from 'node:crypto'
import { type Activity, activities } from './activities.js'
import { day, isoTime } from './calendar.js'
import { drawPreview } from './preview.js'
import { writeProse } from './prose.js'
import type { Random } from './random.js'
import { colours, nicknames, tags, titles } from './words.js'

/** The properties of an entry by name; each becomes a file. */
export type Properties = Readonly<Record<string, string | Buffer>>

/** An entry of the Journal before it lies on the disk. */
export interface Entry {
  readonly uid: string
  /** When it was last changed, in seconds since 1970. */
  readonly changed: number
  readonly properties: Properties
  /** Absent for an entry that is metadata alone. */
  readonly data?: Buffer
}

function uuid(random: Random): string {
  const hex = random.hex(32)
  const variant = '89ab'[random.below(4)]
  return [
    hex.slice(0, 8),
    hex.slice(8, 12),
    `4${hex.slice(13, 16)}`,
    variant + hex.slice(17, 20),
    hex.slice(20),
  ].join('-')
}

/** Whom a child worked with, as Sugar keeps them: by a hash, each with nickname and colours. */
function buddies(random: Random): string {
  const company = Array.from({ length: random.happens(0.2) ? 1 + random.below(3) : 0 }, () => [
    random.hex(40),
    [random.pick(nicknames), random.pick(colours)],
  ])
  return JSON.stringify(Object.fromEntries(company))
}

function comments(random: Random): string {
  return JSON.stringify([
    { from: random.pick(nicknames), message: random.pick(titles), 'icon-color': random.pick(colours) },
  ])
}

/** A title a child wrote, with a number where it is used again. */
export function childsTitle(random: Random): string {
  const title = random.pick(titles)
  return random.happens(0.3) ? `${title} ${2 + random.below(8)}` : title
}

/** The times an entry was opened, from the first to the last, and how long each time, in seconds. */
function visits(random: Random, created: number, changed: number) {
  const between = Array.from({ length: random.below(5) }, () => created + random.below(changed - created + 1))
  const launches = [created, ...between.sort((a, b) => a - b), changed]
  return {
    'launch-times': launches.join(', '),
    'spent-times': launches.map(() => 30 + random.below(2400)).join(', '),
  }
}

export function makeData(random: Random, { data }: Pick<Activity, 'data'>, size: number): Buffer {
  return data === 'text' ? writeProse(random, size) : random.bytes(size)
}

/** What the Journal notes of an entry's data: its size, and the md5 by which equal ones are found. */
export function describeData(data: Buffer): { readonly filesize: string; readonly checksum: string } {
  return { filesize: String(data.length), checksum: createHash('md5').update(data).digest('hex') }
}

/** What changes whenever an entry is saved. `timestamp` is in whole seconds. */
export function describeTime(changed: number): { readonly timestamp: string; readonly mtime: string } {
  return { timestamp: String(changed), mtime: isoTime(changed) }
}

/** The properties that some entries have and others lack. */
function extras(random: Random): Properties {
  return {
    ...(random.happens(0.85) ? { preview: drawPreview(random) } : {}),
    ...(random.happens(0.4) ? { tags: random.pick(tags) } : {}),
    ...(random.happens(0.3)
      ? {
          description: writeProse(random, 40 + random.below(300))
            .toString()
            .replace(/\ufffd$/, ''),
        }
      : random.happens(0.1)
        ? { comments: comments(random) }
        : {}),
  }
}

/**
 * An entry as Sugar would have kept it, with 15 to 20 properties.
 * @param changed seconds since 1970
 * @param size bytes of data; 0 for an entry without
 */
export function makeEntry(random: Random, changed: number, size: number): Entry {
  const uid = uuid(random)
  const activity = random.pick(activities)
  const named = random.happens(0.7)
  const data = size > 0 ? makeData(random, activity, size) : undefined
  const created = changed - (random.happens(0.5) ? random.below(3600) : random.below(14 * day))
  const properties: Properties = {
    uid,
    title: named ? childsTitle(random) : `${activity.name} Activity`,
    title_set_by_user: named ? '1' : '0',
    activity: activity.bundle,
    activity_id: random.hex(40),
    mime_type: activity.mimeType,
    keep: random.happens(0.1) ? '1' : '0',
    creation_time: String(created),
    ...describeTime(changed),
    'icon-color': random.pick(colours),
    'share-scope': random.happens(0.15) ? 'public' : 'private',
    buddies: buddies(random),
    ...visits(random, created, changed),
    ...(data ? describeData(data) : {}),
    ...extras(random),
  }
  return { uid, changed, properties, ...(data ? { data } : {}) }
}
