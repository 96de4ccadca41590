import type Router from 'koa-router'
import { RequestError, readJson } from '../../core/api.js'
import { reachedBy } from './host.js'
import { isUuid } from './identity.js'
import type { Learner, Users } from './public.js'
import { applicationLimit, type Reception } from './reception.js'

/**
 * The JSON interface of sugar-server 1.1 (docs/reference/protocols.md: registration, JSON REST). Clients read `success` and `error`,
 * so a refusal is a reply like any other; only what keeps the server from answering has another status than 200.
 */
export function serveRest(router: Router, reception: Reception, users: Users): void {
  router.post('/client/register', async (ctx) => {
    const body = await readJson(ctx, applicationLimit)
    ctx.body = await replying(async () => {
      const { uid, reply } = await reception.register({
        serial: body.machine_sn ?? body.serial,
        nickname: body.nickname,
        uuid: body.machine_uuid,
        pubkey: body.pubkey,
        ...{ address: ctx.ip, reached: reachedBy(ctx) },
      })
      return { uid, ...reply }
    })
  })

  router.get('/client/status', async (ctx) => {
    const { uid, uuid } = ctx.query
    ctx.body = await replying(async () => {
      const learner = await lookUp(users, uid, uuid)
      if (learner === undefined) return { registered: false }
      const { reply, stamp } = await reception.recall(learner, reachedBy(ctx))
      return { registered: true, 'jabber-url': reply.jabberserver, 'backup-url': reply.backupurl, stamp }
    })
  })
}

/** A reply that says whether it went well; a refusal is one like any other. */
export async function replying(work: () => Promise<object>): Promise<object> {
  try {
    return { success: 'OK', ...(await work()) }
  } catch (error) {
    if (!(error instanceof RequestError) || error.status === 503) throw error
    return { success: 'ERR', error: error.message }
  }
}

async function lookUp(users: Users, uid: unknown, uuid: unknown): Promise<Learner | undefined> {
  if (typeof uid === 'string' && /^[0-9a-f]{40}$/.test(uid)) return users.byUid(uid)
  if (typeof uuid === 'string' && isUuid(uuid)) {
    const found = await users.find(uuid)
    return found.length === 1 ? found[0] : undefined
  }
  throw new RequestError('REQUEST_INVALID', 'ask with ?uid= and 40 hex digits, or with ?uuid=')
}
