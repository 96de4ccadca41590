import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setImmediate } from 'node:timers/promises'
import { HomeError } from '../errors.js'
import { activities } from './activities.js'
import { nextSchoolDay } from './calendar.js'
import { childsTitle, describeData, describeTime, makeData, makeEntry, type Properties } from './entry.js'
import {
  entryPath,
  listEntries,
  putData,
  putEntry,
  putFrame,
  putProperties,
  removeEntry,
  removeMark,
} from './layout.js'
import { drawPreview } from './preview.js'
import { Random } from './random.js'

export interface ChangeOptions {
  /** How much of the Journal: so many of a hundred entries, above 0 up to 100; at least one entry. */
  readonly percent: number
  /** The same seed changes the same Journal in the same way; `1` when not given. */
  readonly seed?: string | undefined
}

/** How many entries of each kind; together they are the percentage asked for. */
export interface Changes {
  renamed: number
  rewritten: number
  added: number
  removed: number
}

/** What a child does on a school day, in this order over and over: mostly new titles, little is thrown away. */
const habits = [
  ...([
    'renamed',
    'rewritten',
    'added',
    'renamed',
    'rewritten',
    'renamed',
    'removed',
    'renamed',
    'rewritten',
  ] as const),
  ...([
    'added',
    'renamed',
    'rewritten',
    'renamed',
    'rewritten',
    'added',
    'renamed',
    'rewritten',
    'renamed',
  ] as const),
] as const

async function readProperty(datastore: string, uid: string, name: string): Promise<string> {
  return readFile(join(entryPath(datastore, uid), 'metadata', name), 'utf8').catch(() => '')
}

/** The day to change goes on after the newest entry: so the same seed does other things on the next day. */
async function newestTime(datastore: string, uids: readonly string[]): Promise<number> {
  const times = uids.map(async (uid) => Number(await readProperty(datastore, uid, 'timestamp')))
  return (await Promise.all(times)).reduce((newest, time) => Math.max(newest, time || 0), 0)
}

async function rewrite(datastore: string, uid: string, random: Random, now: number): Promise<void> {
  const read = (name: string) => readProperty(datastore, uid, name)
  const mimeType = await read('mime_type')
  const activity = activities.find((known) => known.mimeType === mimeType) ?? random.pick(activities)
  const size = Math.round((Number(await read('filesize')) || 20_000) * (0.6 + random.fraction()))
  const data = makeData(random, activity, Math.max(1, size))
  const described = describeData(data)
  removeMark(datastore, uid, await read('checksum'))
  putData(datastore, uid, data, described.checksum, now)
  const properties: Properties = {
    ...described,
    ...describeTime(now),
    preview: drawPreview(random),
    'launch-times': `${await read('launch-times')}, ${now}`,
    'spent-times': `${await read('spent-times')}, ${30 + random.below(2400)}`,
  }
  putProperties(datastore, uid, properties, now)
}

function rename(datastore: string, uid: string, random: Random, now: number): void {
  const title = childsTitle(random)
  putProperties(datastore, uid, { title, title_set_by_user: '1', ...describeTime(now) }, now)
}

/** Takes one away at random. */
function draw(uids: string[], random: Random): string | undefined {
  return uids.splice(random.below(uids.length), 1)[0]
}

/**
 * A day at school: changes some of a Journal's entries, each once. Titles change, data is rewritten, entries are
 * added, few are removed. Throws a HomeError when there is no entry to change.
 */
export async function changeJournal(datastore: string, options: ChangeOptions): Promise<Changes> {
  const uids = await listEntries(datastore)
  if (uids.length === 0)
    throw new HomeError(`${datastore} has no entry to change`, 'make a Journal with --entries')
  const morning = nextSchoolDay(await newestTime(datastore, uids))
  const random = new Random(`change ${options.seed ?? '1'} ${morning}`)
  const changes: Changes = { renamed: 0, rewritten: 0, added: 0, removed: 0 }
  const edits = Math.max(1, Math.round((uids.length * options.percent) / 100))
  for (let edit = 0; edit < edits; edit++) {
    const now = morning + edit
    const habit = habits[edit % habits.length] ?? 'renamed'
    const uid = habit === 'added' ? undefined : draw(uids, random)
    if (uid === undefined) putEntry(datastore, makeEntry(random, now, 1000 + random.below(200_000)))
    else if (habit === 'renamed') rename(datastore, uid, random, now)
    else if (habit === 'rewritten') await rewrite(datastore, uid, random, now)
    else {
      removeMark(datastore, uid, await readProperty(datastore, uid, 'checksum'))
      removeEntry(datastore, uid)
    }
    changes[uid === undefined ? 'added' : habit]++
    await setImmediate() // others in this process have their turn
  }
  putFrame(datastore, morning + edits)
  return changes
}
