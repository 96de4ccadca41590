import { RequestError } from '../../../core/api.js'
import { learnerOf } from '../directory.js'
import type { Shelves } from '../documents.js'
import { keysOf } from '../machines.js'
import type { Learner, Users } from '../public.js'

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

/**
 * The same for one key, whose registration may be joined to another learner's.
 * @throws RequestError also where a learner has several keys and it is not said which
 */
export async function theKey(shelves: Shelves, directory: Users, who: string): Promise<Learner> {
  const exact = /^[0-9a-f]{40}$/i.test(who) ? await shelves.users.get(who.toLowerCase()) : undefined
  if (exact !== undefined) return learnerOf(exact)
  const learner = await theOne(directory, who)
  const keys = await keysOf(shelves, learner.uid)
  if (keys.length > 1) {
    const uids = keys.map(({ uid, nickname }) => `${uid} (${nickname})`).join(', ')
    throw new RequestError('REQUEST_INVALID', `${who} is a learner with several keys: ${uids}`, {
      hint: 'name one by its whole uid',
    })
  }
  return learner
}
