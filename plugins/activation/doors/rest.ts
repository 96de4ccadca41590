import type Router from 'koa-router'
import { parseSerial } from '../../keyring/public.js'
import type { Answer } from '../decision/answer.js'

/**
 * The JSON interface of activation (docs/reference/protocols.md: Anti-theft, JSON). Clients read `success` and `error`,
 * so that there is none is a reply like any other.
 */
export function serveRest(router: Router, answer: (serial: string) => Promise<Answer>): void {
  router.get('/client/lease', async (ctx) => {
    ctx.body = await reply(ctx.query.serial, answer)
  })
}

async function reply(asked: unknown, answer: (serial: string) => Promise<Answer>): Promise<object> {
  const serial = typeof asked === 'string' ? parseSerial(asked) : undefined
  if (serial === undefined)
    return { success: 'ERR', error: 'ask with ?serial= and three letters with eight hex digits' }
  const given = await answer(serial)
  if (given.kind === 'lease') return { success: 'OK', lease: `${given.line}\n` }
  // The word that the TCP port has for it, which programs can tell from all other reasons.
  return { success: 'ERR', error: given.kind === 'stolen' ? 'STOLEN' : given.why }
}
