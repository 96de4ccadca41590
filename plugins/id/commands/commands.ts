import { type Call, type Collection, RequestError } from '../../../core/api.js'
import { chapterOf } from '../chapter.js'
import type { KnownDoc, Shelves } from '../documents.js'
import { importUsers } from '../import/importer.js'
import { importKnown } from '../import/known.js'
import { join, part, removeUser } from '../joining.js'
import type { Users } from '../public.js'
import { theKey, theOne } from './resolve.js'

export { chapterOf, chapterOfSeveral } from '../chapter.js'
export { exportUsers } from './export.js'
export { list } from './list.js'

const dataError = 65

/** `id show USER` */
export async function show(shelves: Shelves, users: Users, who: string, call: Call): Promise<void> {
  const { lines, facts } = await chapterOf(shelves, await theOne(users, who))
  call.show(lines, facts)
}

/** `id alias NEW OLD`, `id alias NEW --undo` */
export async function alias(
  shelves: Shelves,
  users: Users,
  {
    args,
    options,
    print,
  }: Pick<Call, 'print'> & { args: { new: string; old?: string | undefined }; options: { undo: boolean } },
): Promise<void> {
  const newer = await theKey(shelves, users, args.new)
  if (options.undo) {
    await part(shelves, newer.uid)
    print(`${newer.uid} (${newer.nickname}) is a learner of its own again`)
    return
  }
  if (args.old === undefined)
    throw new RequestError('USAGE', 'id alias needs OLD, the learner that NEW belongs to')
  const older = await theOne(users, args.old)
  await join(shelves, newer.uid, older.uid)
  print(`${newer.uid} (${newer.nickname}) is now the same child as ${older.uid} (${older.nickname})`)
}

/** `id remove USER` */
export async function remove(
  shelves: Shelves,
  users: Users,
  who: string,
  call: Pick<Call, 'print'>,
): Promise<void> {
  const { uid, nickname } = await theKey(shelves, users, who)
  await removeUser(shelves, uid)
  call.print(`the registration of ${uid} (${nickname}) is removed; what was backed up is still there`)
}

/** `id import FILE`, `id import FILE --known` */
export async function takeOver(
  shelves: Shelves & { known: Collection<KnownDoc> },
  { files, options, print, note }: Pick<Call, 'files' | 'print' | 'note'> & { options: { known: boolean } },
): Promise<number> {
  const tally = options.known
    ? await importKnown(shelves.known, files())
    : await importUsers(shelves, files(), note)
  for (const { where, reason } of tally.refused) note(`refused: ${where}: ${reason}`)
  print(
    `${tally.added} added, ${tally.updated} updated, ${tally.unchanged} as they were, ${tally.refused.length} refused`,
  )
  return tally.refused.length === 0 ? 0 : dataError
}
