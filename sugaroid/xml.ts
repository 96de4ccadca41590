/** The text is no well-formed XML document, or uses what no XML-RPC peer needs (a DTD, extreme depth). */
export class MalformedXml extends Error {
  override readonly name = 'MalformedXml'
}

export interface Element {
  readonly name: string
  readonly children: Element[]
  /** The character data directly inside the element, joined. */
  text: string
}

const deepest = 256
const name = String.raw`[\p{L}_:][\p{L}\p{N}\p{M}_:.\-\u00b7]*`
const attribute = String.raw`[ \t\n]+${name}[ \t\n]*=[ \t\n]*(?:"[^<"]*"|'[^<']*')`
const startTag = new RegExp(String.raw`<(${name})((?:${attribute})*)[ \t\n]*(/?)>`, 'uy')
const endTag = new RegExp(String.raw`</(${name})[ \t\n]*>`, 'uy')
const declaration = /^<\?xml[ \t\r\n][^>]*?\bencoding[ \t\r\n]*=[ \t\r\n]*["']([\w.-]+)["']/
const illegal = /[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\u{10000}-\u{10ffff}]/u
const entities: Readonly<Record<string, string>> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" }

function decode(bytes: Buffer): string {
  const [, label = 'utf-8'] = declaration.exec(bytes.subarray(0, 200).toString('latin1')) ?? []
  try {
    return new TextDecoder(label, { fatal: true }).decode(bytes)
  } catch {
    throw new MalformedXml(`the bytes are no ${label}`)
  }
}

function character(code: number): string {
  const text = code <= 0x10ffff ? String.fromCodePoint(code) : '\0'
  if (illegal.test(text)) throw new MalformedXml(`character reference to U+${code.toString(16)}`)
  return text
}

function expand(text: string): string {
  return text.replace(/&(?:#(\d+);|#x([\da-fA-F]+);|(\w+);)?/g, (reference: string, ...found: string[]) => {
    const [decimal, hex, entity = ''] = found
    if (decimal) return character(Number.parseInt(decimal, 10))
    if (hex) return character(Number.parseInt(hex, 16))
    const known = Object.hasOwn(entities, entity) ? entities[entity] : undefined
    if (known === undefined) throw new MalformedXml(`unknown entity ${reference}`)
    return known
  })
}

/** One pass over a document: `at` moves to the end, `open` holds the elements that have not been closed. */
class Reader {
  readonly #text: string
  readonly #open: Element[] = []
  #at = 0
  #root: Element | undefined

  constructor(text: string) {
    this.#text = text
  }

  document(): Element {
    while (this.#at < this.#text.length) this.#next()
    if (!this.#root || this.#open.length > 0) throw this.#error('the document ends too early')
    return this.#root
  }

  #next(): void {
    const here = (mark: string) => this.#text.startsWith(mark, this.#at)
    if (!here('<')) this.#characters()
    else if (here('</')) this.#end()
    else if (here('<!--')) this.#comment()
    else if (here('<![CDATA[')) this.#append(this.#upTo(']]>').slice(9))
    else if (here('<?')) this.#instruction()
    else if (here('<!DOCTYPE')) this.#doctype()
    else this.#start()
  }

  #characters(): void {
    const end = this.#text.indexOf('<', this.#at)
    const text = this.#text.slice(this.#at, end < 0 ? undefined : end)
    if (text.includes(']]>')) throw this.#error(']]> in text')
    if (this.#open.length > 0 || /[^ \t\n]/.test(text)) this.#append(expand(text))
    this.#at += text.length
  }

  #append(text: string): void {
    const element = this.#open.at(-1)
    if (!element) throw this.#error('text outside of the document element')
    element.text += text
  }

  #start(): void {
    const [tag, name, attributes = '', empty] = this.#match(startTag)
    expand(attributes)
    const element: Element = { name, children: [], text: '' }
    const parent = this.#open.at(-1)
    if (parent) parent.children.push(element)
    else if (this.#root) throw this.#error('a second document element')
    else this.#root = element
    this.#at += tag.length
    if (empty) return
    this.#open.push(element)
    if (this.#open.length > deepest) throw this.#error('elements nested too deep')
  }

  #end(): void {
    const [tag, name] = this.#match(endTag)
    if (this.#open.pop()?.name !== name) throw this.#error(`mismatched </${name}>`)
    this.#at += tag.length
  }

  #match(pattern: RegExp): [string, string, ...string[]] {
    pattern.lastIndex = this.#at
    const [tag, name, ...more] = pattern.exec(this.#text) ?? []
    if (tag === undefined || name === undefined) throw this.#error('bad tag')
    return [tag, name, ...more]
  }

  #comment(): void {
    if (this.#upTo('--', 4).length < 4 || this.#text[this.#at] !== '>') throw this.#error('bad comment')
    this.#at += 1
  }

  #instruction(): void {
    const first = this.#at === 0
    if (/^<\?xml[ \t\n?]/i.test(this.#upTo('?>')) && !first) throw this.#error('a late XML declaration')
  }

  #doctype(): void {
    if (this.#root) throw this.#error('a late DOCTYPE')
    if (this.#upTo('>').includes('[')) throw this.#error('a DTD inside the document')
  }

  /** Takes everything up to and with `mark`; returns it without the mark. */
  #upTo(mark: string, skip = 2): string {
    const start = this.#at
    const end = this.#text.indexOf(mark, start + skip)
    if (end < 0) throw this.#error(`no ${mark} to the end`)
    this.#at = end + mark.length
    return this.#text.slice(start, end)
  }

  #error(what: string): MalformedXml {
    return new MalformedXml(`${what} at character ${this.#at}`)
  }
}

/**
 * Reads a document as strictly as expat, Python's parser, where a sloppy one would hide a server's mistakes:
 * what is accepted here is accepted by Sugar. Attributes are checked and dropped. Entities a document declares
 * are never expanded, so no reply can make the client grow.
 */
export function parseXml(bytes: Buffer): Element {
  const text = decode(bytes).replace(/\r\n?/g, '\n')
  if (illegal.test(text)) throw new MalformedXml('a control character')
  return new Reader(text).document()
}
