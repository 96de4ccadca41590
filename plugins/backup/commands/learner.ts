import { RequestError } from '../../../core/api.js'
import { shelved } from '../archive/shelf.js'
import type { Desk } from './desk.js'

/**
 * The one learner that an operator means: by uid, the beginning of one, serial or uuid; also one whose registration
 * is gone and whose work is still here.
 * @throws RequestError when it is nobody, or could be several
 */
export async function learnerOf({ users, layout, ledger }: Desk, who: string): Promise<string> {
  const names = new Map((await users.find(who)).map(({ uid, nickname }) => [uid, nickname]))
  if (/^[0-9a-f]{6,40}$/i.test(who)) {
    for (const uid of shelved(layout)) {
      if (uid.startsWith(who.toLowerCase()) && !names.has(uid))
        names.set(uid, ledger.get(uid)?.nickname ?? 'not registered')
    }
  }
  // A whole uid names one, even when somebody's serial looks like it.
  if (names.has(who.toLowerCase())) return who.toLowerCase()
  const [first, ...others] = names.keys()
  if (first === undefined) {
    throw new RequestError('NOT_FOUND', `nobody is known as ${who}`, { hint: '"backup list" shows who is' })
  }
  if (others.length > 0) {
    const all = [...names].map(([uid, nickname]) => `${uid} (${nickname})`).join(', ')
    throw new RequestError('REQUEST_INVALID', `${who} may be any of ${all}`, { hint: 'name one by its uid' })
  }
  return first
}
