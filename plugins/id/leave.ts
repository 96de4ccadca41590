import type Router from 'koa-router'
import { type Context, type Logger, RequestError, readJson } from '../../core/api.js'
import { learnerOf } from './directory.js'
import type { Shelves, UserDoc } from './documents.js'
import { isUuid } from './identity.js'
import { removeUser } from './joining.js'
import { Registration } from './public.js'
import { replying } from './rest.js'

/** Bytes of the request at most. */
const longest = 1024

interface Means {
  readonly shelves: Shelves
  readonly ask: Context<never, never, never, never, never>['ask']
  readonly log: Logger
}

/**
 * Where the learner of a demonstration takes itself away again, with all that is kept of it
 * (docs/reference/protocols.md: registration, JSON REST). It shows who it is by its uuid, which only it and the
 * server know. A child's learner never leaves this way.
 */
export function serveLeave(router: Router, { shelves, ask, log }: Means): void {
  router.post('/client/leave', async (ctx) => {
    const { uid, machine_uuid: uuid } = await readJson(ctx, longest)
    ctx.body = await replying(async () => {
      const user = await demoOf(shelves, uid, uuid)
      await ask(Registration.leave, learnerOf(user))
      // Meanwhile it may have become a learner like others.
      await demoOf(shelves, uid, uuid)
      await removeUser(shelves, user.uid)
      log.info({ uid: user.uid }, `the demonstration ${user.uid} has left, and nothing is kept of it`)
      return { uid: user.uid }
    })
  })
}

/** @throws RequestError unless it is the learner of a demonstration, and the uuid its own */
async function demoOf({ users }: Shelves, uid: unknown, uuid: unknown): Promise<UserDoc> {
  if (typeof uid !== 'string' || !/^[0-9a-f]{40}$/.test(uid) || typeof uuid !== 'string' || !isUuid(uuid))
    throw new RequestError('REQUEST_INVALID', 'say the uid, 40 hex digits, and the machine_uuid')
  const user = await users.get(uid)
  if (user === undefined || !user.uuidKeys.includes(uuid.toLowerCase()))
    throw new RequestError('NOT_FOUND', 'this laptop is not registered')
  if (user.demo !== true || user.aliasOf !== undefined || user.conflicts.length > 0)
    throw new RequestError('REFUSED', 'only the learner of a demonstration may leave by itself', {
      hint: 'an operator removes a registration with "sugar-server id remove USER"',
    })
  return user
}
