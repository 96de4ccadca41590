import { type LookupAddress, type LookupOptions, lookup } from 'node:dns'
import { type IncomingHttpHeaders, type IncomingMessage, request as overHttp, STATUS_CODES } from 'node:http'
import { request as overHttps } from 'node:https'
import { isIP, type LookupFunction } from 'node:net'
import { asError, RequestError, systemCode } from '../../../core/api.js'
import { mayLead } from './reach.js'

/** It may go better the next time. */
export class Interrupted extends RequestError {
  constructor(message: string) {
    super('UNAVAILABLE', message)
  }
}

export interface Question {
  readonly method: 'GET' | 'HEAD'
  readonly headers?: Readonly<Record<string, string>>
  /** Sent to the server that was configured, and to none that it leads to. */
  readonly authorization: string | undefined
  readonly signal: AbortSignal
  /** No sum tells whether what comes is right: it is not to come over http where https was asked. */
  readonly secure?: boolean
  /** Milliseconds within which there must be an answer, and within which some of its body must come. */
  readonly idle: number
}

export interface Answer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  /** To be read, or to be destroyed. */
  readonly body: IncomingMessage
}

const mostRedirects = 5
const redirects = new Set([301, 302, 303, 307, 308])

/** An address for people: without passwords and tokens. */
export const shown = ({ origin, pathname }: URL): string => `${origin}${pathname}`.slice(0, 300)

/**
 * Asks a server, and those that it leads to.
 * @throws Interrupted; RequestError when it leads where it must not, or packs the answer; the signal's reason
 */
export async function ask(address: URL, question: Question): Promise<Answer> {
  let url = address
  let from: string | undefined
  for (let hops = 0; hops <= mostRedirects; hops += 1) {
    const authorization = url.origin === address.origin ? question.authorization : undefined
    const { response, reached } = await exchange(url, from, { ...question, authorization })
    const { statusCode: status = 0, headers } = response
    if (!redirects.has(status) || headers.location === undefined) {
      const packed = headers['content-encoding']
      if (packed === undefined || packed.toLowerCase() === 'identity')
        return { status, headers, body: response }
      response.destroy()
      throw new RequestError(
        'REFUSED',
        `${shown(url)} comes packed (Content-Encoding: ${packed.slice(0, 40)})`,
      )
    }
    response.destroy()
    url = target(url, headers.location, question.secure)
    from = reached
  }
  throw new RequestError('REFUSED', `${shown(address)} leads on more than ${mostRedirects} times`)
}

/** @returns what went wrong with an answer that is not the one that is wanted, to be thrown */
export function failure(url: URL, { status, body }: Answer): Error {
  body.destroy()
  const words = `${shown(url)} answers ${status} ${STATUS_CODES[status] ?? ''}`.trimEnd()
  const passes = status >= 500 || [408, 425, 429].includes(status)
  return passes ? new Interrupted(words) : new RequestError('REFUSED', words)
}

export const isMissing = ({ status }: Answer): boolean => status === 404 || status === 410

/** Bytes that must come within the idle time: a trickle is as good as nothing, and would take a place for days. */
const least = 65_536

/** The body of an answer, as it comes. @throws Interrupted when it ends early or next to nothing comes */
export async function* bytesOf(
  { body }: Answer,
  url: URL,
  { idle, signal }: Question,
): AsyncGenerator<Buffer> {
  let came = 0
  let before = 0
  const watch = setInterval(() => {
    if (came - before < least)
      body.destroy(new Interrupted(`${shown(url)} has sent next to nothing for ${idle / 1000} s`))
    before = came
  }, idle)
  try {
    for await (const chunk of body as AsyncIterable<Buffer>) {
      came += chunk.length
      yield chunk
    }
  } catch (error) {
    throw signal.aborted ? signal.reason : reasonOf(error, url)
  } finally {
    clearInterval(watch)
    body.destroy()
  }
}

/** A small file's text, or undefined where there is none. @throws as `ask`; RequestError when it is longer */
export async function textAt(url: URL, question: Question, most: number): Promise<string | undefined> {
  const answer = await ask(url, question)
  if (isMissing(answer)) {
    answer.body.destroy()
    return undefined
  }
  if (answer.status !== 200) throw failure(url, answer)
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of bytesOf(answer, url, question)) {
    size += chunk.length
    if (size > most) throw new RequestError('REFUSED', `${shown(url)} is longer than ${most} bytes`)
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString('latin1')
}

/** Where an answer leads. @throws RequestError when nobody should go there */
export function target(from: URL, location: string, secure = false): URL {
  if (!URL.canParse(location, from.href))
    throw new RequestError('REFUSED', `${shown(from)} leads to what is no address`)
  const url = new URL(location, from)
  if (secure && from.protocol === 'https:' && url.protocol === 'http:')
    throw new RequestError(
      'REFUSED',
      `${shown(from)} leads from https to http, where anybody may change what comes`,
    )
  if (url.protocol === 'http:' || url.protocol === 'https:') return url
  throw new RequestError(
    'REFUSED',
    `${shown(from)} leads to a ${url.protocol.slice(0, 20)} address, and only http and https are followed`,
  )
}

/** One request on a connection of its own. @param from the address of the server that led here */
function exchange(
  url: URL,
  from: string | undefined,
  { method, headers, authorization, signal, idle }: Question,
): Promise<{ response: IncomingMessage; reached: string }> {
  return new Promise((resolve, reject) => {
    signal.throwIfAborted()
    const host = url.hostname.replace(/^\[|\]$/g, '')
    if (from !== undefined && isIP(host) !== 0 && !mayLead(from, host)) throw astray(url, host)
    const send = url.protocol === 'https:' ? overHttps : overHttp
    const bare = new URL(url.href)
    bare.username = ''
    bare.password = ''
    const asked = send(bare, {
      method,
      signal,
      agent: false,
      lookup: from === undefined ? lookup : guarded(url, from),
      headers: {
        'User-Agent': 'sugar-server',
        'Accept-Encoding': 'identity',
        ...headers,
        ...(authorization !== undefined && { Authorization: authorization }),
      },
    })
    const late = setTimeout(
      () => asked.destroy(new Interrupted(`${shown(url)} has not answered within ${idle / 1000} s`)),
      idle,
    )
    asked.on('error', (error) => {
      clearTimeout(late)
      reject(signal.aborted ? signal.reason : reasonOf(error, url))
    })
    asked.on('response', (response) => {
      clearTimeout(late)
      resolve({ response, reached: response.socket.remoteAddress ?? '' })
    })
    asked.end()
  })
}

/** Looks names up, and gives only those addresses that another server may lead to. */
const guarded =
  (url: URL, from: string): LookupFunction =>
  (name, options: LookupOptions, callback) => {
    lookup(name, { ...options, all: true }, (error, found: LookupAddress[]) => {
      if (error !== null) return callback(error, [])
      const good = found.filter(({ address }) => mayLead(from, address))
      const [first] = good
      if (first === undefined) return callback(astray(url, found[0]?.address ?? name), [])
      return options.all === true ? callback(null, good) : callback(null, first.address, first.family)
    })
  }

const astray = (url: URL, address: string): RequestError =>
  new RequestError(
    'REFUSED',
    `it leads to ${shown(url)} (${address}), where only this machine or its own network gets`,
  )

function reasonOf(thrown: unknown, url: URL): Error {
  if (thrown instanceof RequestError) return thrown
  const [first]: unknown[] = thrown instanceof AggregateError ? thrown.errors : [thrown]
  const { message } = asError(first)
  return new Interrupted(
    `${shown(url)}: ${systemCode(first) === 'ECONNRESET' ? 'the connection broke' : message}`,
  )
}
