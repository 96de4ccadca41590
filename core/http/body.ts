import { isUtf8 } from 'node:buffer'
import type { Context } from 'koa'
import rawBody from 'raw-body'
import { RequestError } from '../errors.js'

/** Bytes that a body may have: twenty times a registration. */
export const bodyLimit = 64 << 10

/**
 * The request's body as text.
 * @throws RequestError REQUEST_TOO_LARGE, REQUEST_INVALID (not UTF-8, compressed, cut off)
 */
export async function readText(ctx: Pick<Context, 'req' | 'set'>, limit = bodyLimit): Promise<string> {
  const encoding = ctx.req.headers['content-encoding']
  if (encoding !== undefined && encoding !== 'identity') {
    throw refuse(ctx, 'REQUEST_INVALID', `the body's encoding ${encoding} is not taken; send it as it is`)
  }
  const length = ctx.req.headers['content-length']
  let bytes: Buffer
  try {
    bytes = await rawBody(ctx.req, length === undefined ? { limit } : { limit, length })
  } catch (error) {
    const type = (error as { type?: string }).type
    if (type === 'entity.too.large')
      throw refuse(ctx, 'REQUEST_TOO_LARGE', `the body is larger than ${limit} bytes`)
    throw refuse(ctx, 'REQUEST_INVALID', 'the body ended too early')
  }
  // Not TextDecoder, which makes strings of two bytes a character: slower to parse, and twice as large where kept.
  if (!isUtf8(bytes)) throw new RequestError('REQUEST_INVALID', 'the body is not UTF-8')
  return bytes.toString().replace(/^\ufeff/, '')
}

/**
 * The request's body as a JSON object.
 * @throws RequestError as readText() does, and when the body is anything but one JSON object
 */
export async function readJson(
  ctx: Pick<Context, 'req' | 'set'>,
  limit = bodyLimit,
): Promise<Record<string, unknown>> {
  const text = await readText(ctx, limit)
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    throw new RequestError('REQUEST_INVALID', 'the body is not JSON')
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new RequestError('REQUEST_INVALID', 'the body is not a JSON object')
  }
  return value as Record<string, unknown>
}

/** Refuses a body that was not read to its end: the rest must not be waited for. */
function refuse(
  ctx: Pick<Context, 'set'>,
  code: 'REQUEST_TOO_LARGE' | 'REQUEST_INVALID',
  message: string,
): RequestError {
  ctx.set('Connection', 'close')
  return new RequestError(code, message)
}
