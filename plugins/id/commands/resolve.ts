import { RequestError } from '../../../core/api.js'
import { learnerOf } from '../directory.js'
import type { UserDoc } from '../documents.js'
import type { Learner, Users } from '../public.js'
import type { Shelves } from '../registry.js'

/**
 * The one learner that an operator means by a uid, the beginning of one, a serial or a uuid.
 * @throws RequestError when it is nobody or could be several
 */
export async function theOne(users: Users, who: string): Promise<Learner> {
  const found = await users.find(who)
  const [first, ...others] = found
  if (first === undefined) {
    throw new RequestError('NOT_FOUND', `nobody is registered as ${who}`, {
      hint: 'id list shows who is registered',
    })
  }
  if (others.length > 0) {
    const uids = found.map(({ uid, nickname }) => `${uid} (${nickname})`).join(', ')
    throw new RequestError('REQUEST_INVALID', `${who} may be any of ${uids}`, { hint: 'name one by its uid' })
  }
  return first
}

/** The same for one key, whose registration may be joined to another learner's. */
export async function theKey({ users }: Shelves, directory: Users, who: string): Promise<Learner> {
  const exact: UserDoc | undefined = /^[0-9a-f]{40}$/i.test(who)
    ? await users.get(who.toLowerCase())
    : undefined
  return exact === undefined ? theOne(directory, who) : learnerOf(exact)
}
