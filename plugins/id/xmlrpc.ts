import CustomType from 'xmlrpc/lib/customtype.js'
import Deserializer from 'xmlrpc/lib/deserializer.js'
import serializer from 'xmlrpc/lib/serializer.js'

/** A value in a reply: text, or a struct of it. */
export type Value = string | { readonly [name: string]: Value }

export interface MethodCall {
  method: string
  params: readonly unknown[]
}

/** A reply for what is no call of a method of ours. Codes as in the specification of fault code interoperability. */
export class Fault extends Error {
  readonly code: number

  constructor(code: number, message: string) {
    super(message)
    this.code = code
  }
}

const notWellFormed = -32700
const mostTags = 200
export const methodNotFound = -32601

/**
 * Reads a method call with the package xmlrpc, which is lenient and knows documents that no client sends: what it
 * would let pass is refused first.
 * @throws Fault
 */
export function decodeCall(text: string): MethodCall {
  // Entities of its own and other encodings than the one we decoded: nobody who speaks XML-RPC sends either.
  if (/<!(?:DOCTYPE|ENTITY|ELEMENT|ATTLIST|NOTATION)/i.test(text))
    throw new Fault(notWellFormed, 'a DOCTYPE is not allowed')
  const encoding = /^\s*<\?xml[^>]*\sencoding\s*=\s*["']([^"']*)["']/i.exec(text)?.[1]
  if (encoding !== undefined && !/^(?:utf-?8|us-ascii)$/i.test(encoding))
    throw new Fault(notWellFormed, 'only UTF-8 is understood')
  if (
    !/<\/methodCall\s*>\s*$/.test(text) ||
    text.indexOf('</methodCall') !== text.lastIndexOf('</methodCall')
  )
    throw new Fault(notWellFormed, 'not an XML-RPC method call, or cut off')
  // Each costs the parser a hundred times its bytes; a registration has thirty.
  if (text.split('<', mostTags + 1).length > mostTags) throw new Fault(notWellFormed, 'too many elements')
  let call: MethodCall | undefined
  let problem: Error | null = null
  const source = {
    setEncoding: () => undefined,
    on: () => undefined,
    pipe(parser: { write(text: string): void; end(): void }) {
      parser.write(text)
      parser.end()
    },
  }
  const deserializer = new Deserializer('utf8')
  // Lines and columns are counted character by character, for messages that nobody is shown.
  deserializer.parser._parser.trackPosition = false
  try {
    deserializer.deserializeMethodCall(source, (error, method, params) => {
      problem ??= error
      if (!error) call = { method, params }
    })
  } catch (error) {
    // The parser throws at a character reference beyond Unicode.
    problem = error as Error
  }
  if (problem !== null || call === undefined) throw new Fault(notWellFormed, 'not an XML-RPC method call')
  return call
}

/** A string whose text goes out escaped: the package would put some into CDATA, where `]]>` breaks out. */
class Text extends CustomType {
  override serialize(xml: Parameters<CustomType['serialize']>[0]): ReturnType<CustomType['serialize']> {
    return xml.ele('string').txt(this.raw)
  }
}

/** Text that XML can carry: what it cannot is replaced, since the serializer would throw. */
const carried = (text: string): string =>
  text.toWellFormed().replace(/[\0-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]/g, '\ufffd')

const wrapped = (value: Value): unknown =>
  typeof value === 'string'
    ? new Text(carried(value))
    : Object.fromEntries(Object.entries(value).map(([name, one]) => [carried(name), wrapped(one)]))

let last = { key: '', xml: '' }

/** A method's response. Laptops of one school get the same reply over and over: the last one is at hand. */
export function encodeReply(value: Value): string {
  const key = JSON.stringify(value)
  if (key !== last.key) last = { key, xml: serializer.serializeMethodResponse(wrapped(value)) }
  return last.xml
}

export const encodeFault = ({ code, message }: Fault): string =>
  serializer.serializeFault({ faultCode: code, faultString: new Text(carried(message)) })
