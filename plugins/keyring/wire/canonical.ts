/**
 * Canonical JSON of OLPC: keys sorted, no white space, only `"` and `\` escaped, line ends raw inside texts. What
 * JSON.stringify writes, a laptop cannot read; what a laptop reads, JSON.parse does not.
 * Source: docs/reference/protocols.md: Anti-theft, Lease files and bundles.
 */
export type Canonical =
  | string
  | number
  | boolean
  | null
  | readonly Canonical[]
  | { readonly [key: string]: Canonical }

const deepest = 32

/** @throws RangeError for numbers that are no safe integers */
export function formatCanonical(value: Canonical): string {
  if (typeof value === 'string') return quote(value)
  if (typeof value === 'number') {
    if (!Number.isSafeInteger(value))
      throw new RangeError(`${value} is no integer that canonical JSON can hold`)
    return String(value)
  }
  if (typeof value !== 'object' || value === null) return String(value)
  if (Array.isArray(value)) return `[${value.map(formatCanonical).join(',')}]`
  const members = Object.entries(value as Readonly<Record<string, Canonical>>)
  members.sort(([a], [b]) => (a < b ? -1 : 1))
  return `{${members.map(([key, member]) => `${quote(key)}:${formatCanonical(member)}`).join(',')}}`
}

const quote = (text: string): string => `"${text.replace(/["\\]/g, '\\$&')}"`

/**
 * Reads one value and nothing behind it; what formatCanonical() would not write is refused.
 * @throws Error that says what is wrong and where: `at 17: ...`
 */
export function parseCanonical(text: string): Canonical {
  const reader = new Reader(text)
  const value = reader.value(0)
  reader.end()
  return value
}

class Reader {
  readonly #text: string
  #at = 0

  constructor(text: string) {
    this.#text = text
  }

  value(depth: number): Canonical {
    if (depth > deepest) throw this.#wrong(`more than ${deepest} levels`)
    const sign = this.#text[this.#at]
    if (sign === '"') return this.#string()
    if (sign === '[') return this.#array(depth)
    if (sign === '{') return this.#object(depth)
    return this.#word()
  }

  end(): void {
    if (this.#at < this.#text.length) throw this.#wrong('something behind the end')
  }

  #array(depth: number): Canonical[] {
    const found: Canonical[] = []
    this.#take('[')
    if (this.#takes(']')) return found
    do found.push(this.value(depth + 1))
    while (this.#takes(','))
    this.#take(']')
    return found
  }

  #object(depth: number): Record<string, Canonical> {
    // Without a prototype: keys are whatever somebody wrote.
    const found: Record<string, Canonical> = Object.create(null)
    this.#take('{')
    if (this.#takes('}')) return found
    let last: string | undefined
    do {
      const key = this.#string()
      if (last !== undefined && key <= last) throw this.#wrong('keys that are not sorted, or twice the same')
      last = key
      this.#take(':')
      found[key] = this.value(depth + 1)
    } while (this.#takes(','))
    this.#take('}')
    return found
  }

  #string(): string {
    this.#take('"')
    const parts: string[] = []
    for (;;) {
      const from = this.#at
      const ending = /["\\]/g
      ending.lastIndex = from
      const found = ending.exec(this.#text)
      if (found === null) throw this.#wrong('a text without its end')
      parts.push(this.#text.slice(from, found.index))
      this.#at = found.index + 1
      if (found[0] === '"') return parts.join('')
      const escaped = this.#text[this.#at]
      if (escaped !== '"' && escaped !== '\\')
        throw this.#wrong(
          `the escape \\${escaped ?? ''}, which laptops do not know: line ends stand raw in texts`,
        )
      parts.push(escaped)
      this.#at += 1
    }
  }

  #word(): number | boolean | null {
    const words = /(?:-?(?:0|[1-9]\d{0,15})|true|false|null)(?![\w.+-])/y
    words.lastIndex = this.#at
    const found = words.exec(this.#text)?.[0]
    if (found === undefined)
      throw this.#wrong(this.#at < this.#text.length ? 'no value' : 'the end too early')
    this.#at += found.length
    if (found === 'null') return null
    if (found === 'true' || found === 'false') return found === 'true'
    const number = Number(found)
    if (!Number.isSafeInteger(number) || Object.is(number, -0))
      throw this.#wrong('a number that is no integer')
    return number
  }

  #takes(sign: string): boolean {
    if (this.#text[this.#at] !== sign) return false
    this.#at += 1
    return true
  }

  #take(sign: string): void {
    if (!this.#takes(sign)) throw this.#wrong(`no ${sign}`)
  }

  #wrong(what: string): Error {
    return new Error(`at ${this.#at}: ${what}`)
  }
}
