import { gunzipSync } from 'node:zlib'
import { BrokenReply } from './errors.js'
import {
  ConnectionLost,
  exchange,
  maxReply,
  type Patience,
  type Reply,
  type Request,
  within,
} from './http.js'
import type { Server } from './server.js'
import { type Element, MalformedXml, parseXml } from './xml.js'

/** A value of a reply. Times and base64 come as the text that was sent; integers beyond 2^53 lose digits. */
export type Value = string | number | boolean | null | Value[] | Struct
export interface Struct {
  [name: string]: Value
}

export function isStruct(value: Value | undefined): value is Struct {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** The server answered with a fault. */
export class Fault extends Error {
  override readonly name = 'Fault'

  constructor(
    readonly code: number,
    readonly text: string,
  ) {
    super(`fault ${code}: ${text}`)
  }
}

/** The server answered with an HTTP status other than 200. */
export class ProtocolError extends Error {
  override readonly name = 'ProtocolError'

  constructor(readonly status: number) {
    super(`the server answered with HTTP status ${status}`)
  }
}

/** The server answered with XML that is no XML-RPC reply. */
export class ResponseError extends Error {
  override readonly name = 'ResponseError'
}

const escaped = (text: string): string =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')

/**
 * A call whose parameters are all strings, byte for byte as Python's xmlrpc.client writes it. Control
 * characters go out as they are, as Python sends them, and no server's parser will take them. Throws a
 * TypeError for lone surrogates, which have no bytes.
 */
export function methodCall(method: string, parameters: readonly string[]): Buffer {
  if (parameters.some((text) => /\p{Surrogate}/u.test(text))) {
    throw new TypeError('lone surrogates cannot be sent as UTF-8')
  }
  const params = parameters.map(
    (text) => `<param>\n<value><string>${escaped(text)}</string></value>\n</param>\n`,
  )
  return Buffer.from(
    `<?xml version='1.0'?>\n<methodCall>\n<methodName>${method}</methodName>\n<params>\n${params.join('')}</params>\n</methodCall>\n`,
  )
}

function only(element: Element, name?: string): Element {
  const [child, ...more] = element.children
  if (child && more.length === 0 && (name ?? child.name) === child.name) return child
  throw new ResponseError(`<${element.name}> should hold one <${name ?? 'type'}>`)
}

function member(element: Element): [string, Value] {
  const [key, held, ...more] = element.children
  if (key?.name === 'name' && held && more.length === 0) return [key.text, readValue(held)]
  throw new ResponseError('<member> should hold a <name> and a <value>')
}

/** Python raises a ValueError for a number that is none, and Sugar does not catch it. */
function number(text: string, pattern: RegExp): number {
  if (!pattern.test(text.trim())) throw new BrokenReply(`'${text.slice(0, 40)}' is not a number`)
  return Number(text)
}

function boolean(text: string): boolean {
  if (text === '0' || text === '1') return text === '1'
  throw new ResponseError(`'${text.slice(0, 40)}' is not a boolean`)
}

function readValue(element: Element): Value {
  if (element.name !== 'value') throw new ResponseError(`<${element.name}> in place of <value>`)
  if (element.children.length === 0) return element.text
  const typed = only(element)
  switch (typed.name) {
    case 'string':
    case 'dateTime.iso8601':
    case 'base64':
      return typed.text
    case 'int':
    case 'i4':
    case 'i8':
      return number(typed.text, /^[+-]?\d+$/)
    case 'double':
      return number(typed.text, /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i)
    case 'boolean':
      return boolean(typed.text)
    case 'nil':
      return null
    case 'array':
      return only(typed, 'data').children.map(readValue)
    case 'struct':
      return Object.fromEntries(typed.children.map(member)) // defines own members, `__proto__` included
    default:
      throw new ResponseError(`<${typed.name}> is no XML-RPC type`)
  }
}

function faultOf(element: Element): Fault {
  const fault = readValue(only(element, 'value'))
  if (isStruct(fault)) {
    const { faultCode, faultString } = fault
    if (typeof faultCode === 'number' && typeof faultString === 'string') {
      return new Fault(faultCode, faultString)
    }
  }
  throw new ResponseError('a fault without faultCode and faultString')
}

/**
 * The value a reply holds. Throws a Fault when it holds one, a ResponseError for XML of another kind, and a
 * BrokenReply for what is no XML.
 */
export function parseReply(body: Buffer): Value {
  const root = parse(body)
  if (root.name !== 'methodResponse') throw new ResponseError(`<${root.name}> in place of <methodResponse>`)
  const content = only(root)
  if (content.name === 'fault') throw faultOf(content)
  if (content.name !== 'params') throw new ResponseError(`<${content.name}> in place of <params>`)
  const [param, ...more] = content.children
  if (!param || more.length > 0) throw new BrokenReply('the reply does not hold exactly one value')
  return readValue(only(param, 'value'))
}

function parse(body: Buffer): Element {
  try {
    return parseXml(body)
  } catch (error) {
    if (!(error instanceof MalformedXml)) throw error
    throw new BrokenReply(`the reply is no XML: ${error.message}`, { cause: error })
  }
}

function unzip({ encoding, body }: Reply): Buffer {
  if (encoding !== 'gzip') return body
  try {
    return gunzipSync(body, { maxOutputLength: maxReply })
  } catch (cause) {
    throw new BrokenReply('the reply is no gzip of bearable size', { cause })
  }
}

/** Python sends the request once more when the connection was lost, and no more than once. */
async function exchangeTwice(request: Request, signal: AbortSignal): Promise<Reply> {
  try {
    return await exchange(request, signal)
  } catch (error) {
    if (!(error instanceof ConnectionLost)) throw error
    return await exchange(request, signal)
  }
}

/**
 * Calls a method as Python 3's xmlrpc.client does and returns what the server returned. Throws what
 * parseReply and exchange throw, a ProtocolError for any status but 200, and TimedOut.
 */
export async function call(
  server: Server,
  method: string,
  parameters: readonly string[],
  patience: Patience = {},
): Promise<Value> {
  const request: Request = {
    server,
    method: 'POST',
    path: '/',
    headers: {
      'Accept-Encoding': 'gzip',
      'Content-Type': 'text/xml',
      'User-Agent': 'Python-xmlrpc/3.11',
    },
    body: methodCall(method, parameters),
  }
  const reply = await within(patience, (signal) => exchangeTwice(request, signal))
  if (reply.status !== 200) throw new ProtocolError(reply.status)
  return parseReply(unzip(reply))
}
