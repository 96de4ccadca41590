import { once } from 'node:events'
import { type IncomingMessage, request } from 'node:http'
import { BrokenReply } from '../errors.js'
import { within } from '../http.js'
import { type Call, failure } from '../registration.js'
import { authority } from '../server.js'
import { readAnswer } from './answer.js'
import { NotCanonical } from './canonical.js'
import { type OatsAnswer, readOats } from './oats.js'

/** What came back when a laptop asked at its daily turn, taken apart but not checked. */
export type OatsReply =
  | { readonly outcome: 'answered'; readonly answer: OatsAnswer }
  | { readonly outcome: 'unreachable' | 'broken'; readonly cause: Error }

export interface OatsQuestion {
  readonly serial: string
  /** Digits that come back signed, so that an old answer is of no use. */
  readonly nonce: string
}

/** node:http says so of what is no HTTP. */
const isNoHttp = (error: unknown): boolean =>
  error instanceof Error && 'code' in error && String(error.code).startsWith('HPE_')

async function body(response: IncomingMessage): Promise<Buffer> {
  const { statusCode, headers } = response
  if (statusCode !== 200) throw new BrokenReply(`the server answered with HTTP status ${statusCode}`)
  if (headers['content-length'] === undefined) throw new BrokenReply('the answer has no Content-Length')
  try {
    return await readAnswer(response)
  } catch (error) {
    if (error instanceof BrokenReply) throw error
    throw new BrokenReply('the answer ends before its Content-Length', { cause: error })
  }
}

async function post({ server, ...patience }: Call, form: string): Promise<Buffer> {
  return within(patience, async (signal) => {
    const sent = request({
      ...server,
      method: 'POST',
      path: '/antitheft/1/',
      signal,
      agent: false,
      headers: {
        Host: authority(server),
        'Content-Type': 'application/x-www-form-urlencoded',
        'Content-Length': Buffer.byteLength(form),
      },
    })
    // An error in the packet that begins the answer comes before anybody waits for it; the response tells it again.
    sent.on('error', () => undefined)
    try {
      sent.end(form)
      const [response]: IncomingMessage[] = await once(sent, 'response')
      if (!response) throw new BrokenReply('no answer')
      return await body(response)
    } catch (error) {
      throw isNoHttp(error) ? new BrokenReply('the answer is no HTTP', { cause: error }) : error
    } finally {
      sent.destroy()
    }
  })
}

/**
 * Asks as a laptop does for news of theft deterrence over HTTP. Rejects only with the reason of the caller's signal.
 * Facts: docs/reference/protocols.md: Anti-theft, OATS.
 */
export async function askOats({ serial, nonce }: OatsQuestion, call: Call): Promise<OatsReply> {
  try {
    const form = new URLSearchParams({ serialnum: serial, version: '1', nonce })
    return { outcome: 'answered', answer: readOats(await post(call, form.toString())) }
  } catch (error) {
    if (error instanceof NotCanonical) return { outcome: 'broken', cause: error }
    const { outcome, cause } = failure(error, call.signal)
    return { outcome, cause }
  }
}
