import { once } from 'node:events'
import { type IncomingMessage, request } from 'node:http'
import { parseRetryAfter, plain } from '../backup/question.js'
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
  | Denial
  | { readonly outcome: 'unreachable' | 'broken'; readonly cause: Error }

/** The server does not answer this laptop, and says why: never, or not now. */
export interface Denial {
  readonly outcome: 'denied' | 'busy'
  /** Of HTTP. */
  readonly status: number
  /** The server's words. */
  readonly text: string
  /** When to come back, where it says so. */
  readonly seconds?: number
}

export interface OatsQuestion {
  readonly serial: string
  /** Digits that come back signed, so that an old answer is of no use. */
  readonly nonce: string
}

/** node:http says so of what is no HTTP. */
const isNoHttp = (error: unknown): boolean =>
  error instanceof Error && 'code' in error && String(error.code).startsWith('HPE_')

/** What a server says with a status of failure: the error in its JSON, or the text of its page. */
function wordsOf(body: Buffer): string {
  try {
    const { error }: { error?: unknown } = Object(JSON.parse(body.toString()))
    if (typeof error === 'string') return error.slice(0, 300)
  } catch {
    // It is no JSON.
  }
  return plain(body)
}

async function denial(response: IncomingMessage): Promise<Denial> {
  const { statusCode: status = 0, headers } = response
  const text = status < 400 ? '' : wordsOf(await readAnswer(response))
  if (text === '') throw new BrokenReply(`the server answered with HTTP status ${status}`)
  const seconds = parseRetryAfter(headers['retry-after'], Date.now())
  const outcome = status === 429 || status === 503 ? 'busy' : 'denied'
  return { outcome, status, text, ...(seconds !== undefined && { seconds }) }
}

async function body(response: IncomingMessage): Promise<Buffer> {
  const { headers } = response
  if (headers['content-length'] === undefined) throw new BrokenReply('the answer has no Content-Length')
  try {
    return await readAnswer(response)
  } catch (error) {
    if (error instanceof BrokenReply) throw error
    throw new BrokenReply('the answer ends before its Content-Length', { cause: error })
  }
}

async function post({ server, ...patience }: Call, form: string): Promise<Buffer | Denial> {
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
      return await (response.statusCode === 200 ? body(response) : denial(response))
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
    const reply = await post(call, form.toString())
    return 'outcome' in reply ? reply : { outcome: 'answered', answer: readOats(reply) }
  } catch (error) {
    if (error instanceof NotCanonical) return { outcome: 'broken', cause: error }
    const { outcome, cause } = failure(error, call.signal)
    return { outcome, cause }
  }
}
