/** A value of OLPC's canonical JSON; objects have no prototype. */
export type Canonical = string | number | boolean | null | Canonical[] | CanonicalObject
export interface CanonicalObject {
  [key: string]: Canonical
}

/** The text is no canonical JSON, or not the expected one. The message is a sentence with the place. */
export class NotCanonical extends Error {
  override readonly name = 'NotCanonical'
}

export const isCanonicalObject = (value: Canonical | undefined): value is CanonicalObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** What laptops are sent has 4 levels. */
const deepest = 16

/**
 * Reads OLPC's canonical JSON from its beginning to its end (docs/reference/protocols.md: Anti-theft, Lease files and
 * bundles), strictly: no white space between values, keys in order, newlines and all other characters as they
 * are, `\"` and `\\` the only escapes. All methods throw a NotCanonical. Takes time in proportion to the length.
 */
export class CanonicalReader {
  /** How many bytes are read. */
  at = 0
  /** One byte, one character: places are those of the bytes that were signed. */
  readonly #text: string

  constructor(bytes: Buffer) {
    this.#text = bytes.toString('latin1')
  }

  expect(text: string): void {
    if (!this.#takes(text)) this.#fail(`no '${text}'`)
  }

  end(): void {
    if (this.at < this.#text.length) this.#fail('something behind the end')
  }

  value(depth = 0): Canonical {
    if (depth > deepest) this.#fail(`more than ${deepest} levels`)
    switch (this.#text[this.at]) {
      case '"':
        return decode(this.#string())
      case '[':
        return this.#array(depth)
      case '{':
        return this.#object(depth)
      default:
        return this.#word()
    }
  }

  #fail(what: string): never {
    throw new NotCanonical(`no canonical JSON: ${what} at byte ${this.at}`)
  }

  #takes(text: string): boolean {
    const there = this.#text.startsWith(text, this.at)
    if (there) this.at += text.length
    return there
  }

  #string(): string {
    this.expect('"')
    let read = ''
    for (let from = this.at; ; this.at += 1) {
      const character = this.#text[this.at]
      if (character === undefined) this.#fail('a string without an end')
      if (character === '"') {
        read += this.#text.slice(from, this.at)
        this.at += 1
        return read
      }
      if (character !== '\\') continue
      read += this.#text.slice(from, this.at)
      this.at += 1
      if (!/["\\]/.test(this.#text[this.at] ?? '')) this.#fail('an escape other than \\" and \\\\')
      from = this.at
    }
  }

  #array(depth: number): Canonical[] {
    this.expect('[')
    const values: Canonical[] = []
    if (this.#takes(']')) return values
    do values.push(this.value(depth + 1))
    while (this.#takes(','))
    this.expect(']')
    return values
  }

  #object(depth: number): CanonicalObject {
    this.expect('{')
    const members: CanonicalObject = Object.create(null)
    if (this.#takes('}')) return members
    let before: string | undefined
    do {
      const key = this.#string()
      if (before !== undefined && key <= before) this.#fail('a key that is out of order')
      this.expect(':')
      members[decode(key)] = this.value(depth + 1)
      before = key
    } while (this.#takes(','))
    this.expect('}')
    return members
  }

  #word(): null | boolean | number {
    if (this.#takes('null')) return null
    if (this.#takes('true')) return true
    if (this.#takes('false')) return false
    const number = /-?(?:0|[1-9]\d{0,14})(?![\d.eE])/y
    number.lastIndex = this.at
    const [digits] = number.exec(this.#text) ?? []
    if (digits === undefined || digits === '-0') this.#fail('no value')
    this.at += digits.length
    return Number(digits)
  }
}

const decode = (bytes: string): string => Buffer.from(bytes, 'latin1').toString()
