import { randomBytes } from 'node:crypto'
import type { Context, Middleware } from 'koa'
import type { Logger } from 'pino'
import { asError, RequestError, SugarError } from '../errors.js'

const securityHeaders: Record<string, string> = {
  'Content-Security-Policy': "default-src 'none'; frame-ancestors 'none'",
  'Referrer-Policy': 'no-referrer',
  'X-Content-Type-Options': 'nosniff',
  'X-Frame-Options': 'DENY',
  'Cache-Control': 'no-store',
}

const retryAfterSeconds = '30'

// A counter behind a random beginning: unique across restarts, and cheap.
const prefix = randomBytes(4).toString('hex')
let requests = 0

/**
 * What a client may know of an error: a RequestError's text; of anything else a reference that leads to the log.
 * @param reference the request's id
 */
export const clientText = (error: unknown, reference: string): string =>
  error instanceof RequestError ? error.message : `internal error, reference ${reference}`

/** Logs what a client is not told. */
export function logFault(log: Logger, error: unknown, reference: string): void {
  if (!(error instanceof RequestError)) log.error({ id: reference, err: asError(error) }, 'a request failed')
}

/** The id of a request, in its `X-Request-Id` header and in the log. */
export const requestId = (ctx: Context): string => String(ctx.state.id)

/**
 * The outermost middleware: request id, security headers, refusal while draining, access log, and the one place
 * where errors become answers.
 * @param lacks whether a plugin waits for its disk: an unknown address may be one of its, and gets 503 instead of 404
 */
export function edge(log: Logger, draining: () => boolean, lacks = () => false): Middleware {
  return async (ctx, next) => {
    const began = performance.now()
    requests += 1
    const id = `${prefix}${requests.toString(36)}`
    ctx.state.id = id
    ctx.set(securityHeaders)
    ctx.set('X-Request-Id', id)
    try {
      if (draining()) throw new RequestError('UNAVAILABLE', 'the server is stopping; try again in a minute')
      await next()
      if (ctx.body === undefined || ctx.body === null) unanswered(ctx.status, lacks)
    } catch (error) {
      answer(ctx, error, id, log)
    }
    if (draining()) ctx.set('Connection', 'close')
    log.info(
      {
        id,
        ip: ctx.ip,
        method: ctx.method,
        route: routeOf(ctx),
        status: ctx.status,
        ms: Math.round(performance.now() - began),
      },
      'request',
    )
  }
}

function unanswered(status: number, lacks: () => boolean): void {
  // A laptop takes 404 for "never"; the plugin that does not run may know the address.
  if (status === 404 && lacks())
    throw new RequestError('UNAVAILABLE', 'a service of this server does not run now; try again later')
  if (status === 404) throw new RequestError('NOT_FOUND', 'there is nothing at this address')
  if (status === 405 || status === 501) throw new RequestError('METHOD_NOT_ALLOWED', 'not with this method')
}

function answer(ctx: Context, error: unknown, id: string, log: Logger): void {
  logFault(ctx.state.plugin === undefined ? log : log.child({ plugin: ctx.state.plugin }), error, id)
  ctx.status = error instanceof SugarError ? error.status : 500
  if (ctx.status === 503) ctx.set('Retry-After', retryAfterSeconds)
  // What is left of a request that failed half-way must not be taken for the next one.
  if (!ctx.req.complete) ctx.set('Connection', 'close')
  const text = clientText(error, id)
  if (ctx.accepts('json', 'html') === 'html') {
    ctx.type = 'html'
    ctx.body = `<!DOCTYPE html><title>${ctx.status}</title><p>${escapeHtml(text)}</p>\n`
  } else {
    ctx.body = { success: 'ERR', error: text }
  }
}

export const escapeHtml = (text: string): string =>
  text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`)

const uuids = /[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/gi

/** The route's pattern, since addresses hold laptops' uuids, which are secrets (docs/reference/protocols.md: anti-theft, Lines). */
function routeOf(ctx: Context): string {
  const matched: unknown = (ctx as { _matchedRoute?: unknown })._matchedRoute
  return typeof matched === 'string' ? matched : ctx.path.replace(uuids, ':uuid').slice(0, 120)
}
