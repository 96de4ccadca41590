import { BrokenReply } from '../errors.js'
import { exchange, within } from '../http.js'
import type { Server } from '../server.js'

/** What a school server says when a laptop asks whether it may send its Journal now. */
export type Answer =
  | { readonly outcome: 'go' }
  /** It has this very Journal already. */
  | { readonly outcome: 'unchanged' }
  /** Later: after so many seconds, when it says so. */
  | { readonly outcome: 'busy'; readonly seconds?: number }
  | { readonly outcome: 'refused'; readonly status: number; readonly text: string }
  | { readonly outcome: 'unreachable' | 'broken'; readonly cause: Error }

/** The question of today, by uuid, with the Journal's digest where it is told. */
export function pathByUuid(uuid: string, digest?: string): string {
  const query = digest === undefined ? '' : `?journal=${digest}`
  return `/backup/uuid/available/${encodeURIComponent(uuid)}${query}`
}

/** The question of laptops with the client of OLPC XS, by serial number. */
export function pathBySerial(serial: string): string {
  return `/backup/1/available/${encodeURIComponent(serial)}`
}

/** Retry-After (RFC 9110): seconds, or a date. Undefined for what is neither. */
export function parseRetryAfter(text: string | undefined, now: number): number | undefined {
  if (text === undefined) return undefined
  if (/^\d{1,9}$/.test(text)) return Number(text)
  const date = /^[A-Z][a-z]{2}, \d{2} [A-Z][a-z]{2} \d{4} \d{2}:\d{2}:\d{2} GMT$/.test(text)
    ? Date.parse(text)
    : NaN
  return Number.isNaN(date) ? undefined : Math.max(0, Math.ceil((date - now) / 1000))
}

/** The short message of an HTML page, on one line. */
export function plain(body: Buffer): string {
  const text = body.subarray(0, 4096).toString()
  return text
    .replace(/<[^<>]*>/g, ' ')
    .replace(/\s+/g, ' ')
    .trim()
    .slice(0, 300)
}

/**
 * Asks once, and gives up after 8 s. Facts: docs/reference/protocols.md: backup, Asking for permission.
 * @param method HEAD only asks: no slot is kept for who does not mean to come
 */
export async function askPermission(
  server: Server,
  path: string,
  method: 'GET' | 'HEAD' = 'GET',
): Promise<Answer> {
  try {
    const request = { server, method, path, headers: { Accept: '*/*' } } as const
    const reply = await within({}, (signal) => exchange(request, signal))
    const seconds = parseRetryAfter(reply.retryAfter, Date.now())
    switch (reply.status) {
      case 200:
        return { outcome: 'go' }
      case 204:
        return { outcome: 'unchanged' }
      case 503:
        return { outcome: 'busy', ...(seconds === undefined ? {} : { seconds }) }
      default:
        return { outcome: 'refused', status: reply.status, text: plain(reply.body) }
    }
  } catch (error) {
    if (!(error instanceof Error)) throw error
    return { outcome: error instanceof BrokenReply ? 'broken' : 'unreachable', cause: error }
  }
}
