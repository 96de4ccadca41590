import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { type Call, RequestError, systemCode } from '../../../core/api.js'
import { plainId } from '../archive/shelf.js'
import type { Desk } from './desk.js'
import { telling } from './progress.js'

const dataError = 65

// docs/reference/protocols.md: backup, The archive of an OLPC XS.
const current = 'datastore-current'
const dated = /^datastore-(\d{4})-(\d{2})-(\d{2})_(\d{2}):(\d{2})$/

/** A Journal of an XS, as it was at a time. */
interface Found {
  readonly directory: string
  readonly at: Date
}

/**
 * `backup import-xs DIR`: takes over the users' directories of an OLPC XS, which bear the laptops' serials. What was
 * taken over before is passed over, so it can be run again when more laptops have registered.
 * @returns 65 when something could not be taken over
 */
export async function importXs(
  desk: Desk,
  call: Pick<Call, 'print' | 'note' | 'signal'> & { args: { dir: string } },
): Promise<number> {
  const users = await directoriesOf(call.args.dir)
  let taken = 0
  let known = 0
  let refused = 0
  for (const [index, serial] of users.entries()) {
    const found = await journalsOf(join(call.args.dir, serial))
    if (found.length === 0) {
      call.note(`passed over: ${serial} holds no Journal`)
      continue
    }
    call.note(`${index + 1} of ${users.length}: ${serial}`)
    try {
      const uid = await learnerWith(desk, serial)
      const leave = await desk.turns.take(uid, 'write', call.signal)
      try {
        const { fresh, old } = await importOne(desk, call, uid, join(call.args.dir, serial), found)
        taken += fresh
        known += old
      } finally {
        leave()
      }
    } catch (error) {
      if (!(error instanceof Error) || call.signal.aborted) throw error
      refused += 1
      call.note(`refused: ${serial}: ${error.message}`)
    }
  }
  call.print(`${taken} snapshots taken over, ${known} as they were, ${refused} laptops refused`)
  return refused === 0 ? 0 : dataError
}

async function importOne(
  desk: Desk,
  call: Pick<Call, 'note' | 'signal'>,
  uid: string,
  folder: string,
  found: readonly Found[],
): Promise<{ fresh: number; old: number }> {
  const ids = new Set((await desk.journals.snapshots(uid)).map(({ id }) => id))
  let fresh = 0
  for (const { directory, at } of found) {
    if (ids.has(plainId(at))) continue
    const isNewest = directory === found.at(-1)?.directory
    const given = { uid, folder, directory, at, isNewest }
    if ((await desk.archivist.run('adopt', given, telling(call, directory))).fresh) fresh += 1
  }
  return { fresh, old: found.length - fresh }
}

/** The Journals in a user's directory, oldest first: those with a date, and what the laptop sent last. */
async function journalsOf(folder: string): Promise<Found[]> {
  const names = await directoriesOf(folder)
  const found = names.flatMap((directory) => {
    const at = timeOf(directory)
    return at === undefined ? [] : [{ directory, at }]
  })
  found.sort((a, b) => a.at.getTime() - b.at.getTime())
  if (!names.includes(current)) return found
  const changed = (await stat(join(folder, current))).mtime
  const last = found.at(-1)?.at.getTime() ?? 0
  // A laptop's clock may say anything; what came last is no older than what was copied from it.
  return [
    ...found,
    { directory: current, at: new Date(Math.max(last + 1000, Math.min(changed.getTime(), Date.now()))) },
  ]
}

/** The time in a directory's name: local time, as the XS wrote it. */
function timeOf(directory: string): Date | undefined {
  const [, year = 0, month = 0, day = 0, hour = 0, minute = 0] = (dated.exec(directory) ?? []).map(Number)
  const at = new Date(year, month - 1, day, hour, minute)
  // A day that there is not would become another.
  return year > 0 && at.getMonth() === month - 1 && at.getDate() === day && at.getHours() === hour
    ? at
    : undefined
}

async function directoriesOf(folder: string): Promise<string[]> {
  try {
    const entries = await readdir(folder, { withFileTypes: true })
    return entries
      .filter((entry) => entry.isDirectory())
      .map(({ name }) => name)
      .sort()
  } catch (error) {
    throw new RequestError('NOT_FOUND', `${folder} cannot be read (${systemCode(error)})`, {
      hint: `the server reads it, as the user with uid ${process.geteuid?.()}`,
    })
  }
}

/** Who has the laptop. @throws RequestError when nobody has registered it, or several have */
async function learnerWith({ users }: Desk, serial: string): Promise<string> {
  const found = (await users.find(serial)).filter(({ serials }) => serials.includes(serial.toUpperCase()))
  const [only] = found
  if (only === undefined || found.length > 1) {
    throw new RequestError('NOT_FOUND', 'no learner is registered with this laptop', {
      hint: 'import the registrations first: "sugar-server id import", or let the laptop register',
    })
  }
  return only.uid
}
