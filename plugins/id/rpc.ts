import type Router from 'koa-router'
import { clientText, type Logger, logFault, RequestError, readText, requestId } from '../../core/api.js'
import { reachedBy } from './host.js'
import { applicationLimit, type Reception } from './reception.js'
import { decodeCall, encodeFault, encodeReply, Fault, methodNotFound, type Value } from './xmlrpc.js'

/**
 * XML-RPC, the interface that every Sugar speaks: `register(serial, nickname, uuid, pubkey)` at `/`, and at `/RPC2`
 * where Python's clients may ask.
 *
 * Whatever is wrong with a registration is answered with `success: ERR`, since a laptop shows a fault as "Cannot
 * connect to the server" (docs/reference/protocols.md: registration, XML-RPC). A fault is for what is no call of ours.
 */
export function serveRpc(router: Router, reception: Reception, log: Logger): void {
  router.post(['/', '/RPC2'], async (ctx) => {
    const body = await readText(ctx, applicationLimit)
    ctx.type = 'text/xml'
    try {
      const { method, params } = decodeCall(body)
      if (method !== 'register') throw new Fault(methodNotFound, `there is no method ${method.slice(0, 80)}`)
      ctx.body = encodeReply(await register(params))
    } catch (error) {
      if (!(error instanceof Fault)) throw error
      ctx.body = encodeFault(error)
    }

    async function register(params: readonly unknown[]): Promise<Value> {
      try {
        const [serial, nickname, uuid, pubkey] = params
        if (params.length !== 4)
          throw new RequestError(
            'REQUEST_INVALID',
            'register takes a serial, a nickname, a uuid and a public key',
          )
        const { reply } = await reception.register({
          ...{ serial, nickname, uuid, pubkey },
          ...{ address: ctx.ip, reached: reachedBy(ctx) },
        })
        return { success: 'OK', ...reply } as Value
      } catch (error) {
        const reference = requestId(ctx)
        logFault(log, error, reference)
        return { success: 'ERR', error: clientText(error, reference) }
      }
    }
  })
}
