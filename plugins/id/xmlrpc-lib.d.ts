// The parts of the package xmlrpc that are used; it brings no types.
declare module 'xmlrpc/lib/deserializer.js' {
  interface Source {
    setEncoding(encoding: string): void
    on(event: string, listener: (...args: never[]) => void): void
    pipe(parser: { write(text: string): void; end(): void }): void
  }
  export default class Deserializer {
    constructor(encoding: string)
    parser: { _parser: { trackPosition: boolean } }
    deserializeMethodCall(
      source: Source,
      callback: (error: Error | null, method: string, params: unknown[]) => void,
    ): void
  }
}

declare module 'xmlrpc/lib/customtype.js' {
  interface XmlNode {
    ele(name: string): XmlNode
    txt(text: string): XmlNode
  }
  export default class CustomType {
    constructor(raw: string)
    raw: string
    serialize(xml: XmlNode): XmlNode
  }
}

declare module 'xmlrpc/lib/serializer.js' {
  const serializer: {
    serializeMethodResponse(value: unknown): string
    serializeFault(fault: { faultCode: number; faultString: unknown }): string
  }
  export default serializer
}
