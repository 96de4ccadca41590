import { RequestError } from '../../../core/api.js'

/** Bytes that may come before it is known what is wanted. */
const most = 8192
/** Of a line, as rsync itself reads it. */
const longestLine = 1023
const mostEarlyInput = 5120

const lineFeed = 10
const greeting = /^@RSYNCD: (\d{1,3})(\.\d{1,5})?((?: [\w.:-]{1,32}){0,20}) ?$/
const earlyInput = /^#early_input=(\d{1,10})$/

/** What a client says before it is served (docs/reference/protocols.md: Builds, The daemon protocol). */
export interface Opening {
  readonly protocol: number
  /** 0 of a released rsync. */
  readonly subprotocol: number
  /** A module, or empty for the list of them. Nothing is known of it but that it is a line without NUL. */
  readonly wanted: string
  /** All that an rsync of ours must hear again, from its greeting to its module. */
  readonly said: Buffer
  /** What came behind that. */
  readonly rest: Buffer
}

/** Reads what a client says first, however it is cut into pieces. */
export class OpeningReader {
  #bytes: Buffer | undefined
  #length = 0
  /** Where the line begins that is read now, and how far it holds no line feed. */
  #start = 0
  #looked = 0
  #protocol: Pick<Opening, 'protocol' | 'subprotocol'> | undefined
  #early: 'none' | 'comes' | 'came' = 'none'

  /** Whether it has said a greeting and nothing more. */
  get hasGreeted(): boolean {
    return this.#protocol !== undefined && this.#start === this.#length
  }

  /**
   * @param chunk is not kept
   * @returns undefined as long as more must come
   * @throws RequestError for what no rsync says; its text is for the client
   */
  read(chunk: Buffer): Opening | undefined {
    this.#bytes ??= Buffer.allocUnsafeSlow(most)
    const taken = chunk.copy(this.#bytes, this.#length)
    this.#length += taken
    const wanted = this.#next(this.#bytes)
    if (wanted === undefined) {
      if (this.#length === most) throw startupError()
      return undefined
    }
    return {
      protocol: this.#protocol?.protocol ?? 0,
      subprotocol: this.#protocol?.subprotocol ?? 0,
      wanted,
      said: this.#bytes.subarray(0, this.#start),
      rest: Buffer.concat([this.#bytes.subarray(this.#start, this.#length), chunk.subarray(taken)]),
    }
  }

  #next(bytes: Buffer): string | undefined {
    for (;;) {
      if (this.#early === 'comes') {
        if (this.#length < this.#looked) return undefined
        this.#start = this.#looked
        this.#early = 'came'
      }
      const line = this.#line(bytes)
      if (line === undefined) return undefined
      if (this.#protocol === undefined) this.#protocol = protocolOf(line)
      else if (this.#early === 'none' && line.startsWith('#early_input=')) this.#expect(line)
      else return line
    }
  }

  #line(bytes: Buffer): string | undefined {
    const end = bytes.subarray(0, this.#length).indexOf(lineFeed, this.#looked)
    this.#looked = end === -1 ? this.#length : end + 1
    if (this.#looked - this.#start > longestLine + 1) throw startupError()
    if (end === -1) return undefined
    const line = bytes.toString('utf8', this.#start, end).replaceAll('\r', '')
    if (line.includes('\0')) throw startupError()
    this.#start = end + 1
    return line
  }

  #expect(line: string): void {
    const length = Number(earlyInput.exec(line)?.[1])
    if (!(length >= 1 && length <= mostEarlyInput)) throw refusal('invalid early_input length')
    this.#looked = this.#start + length
    this.#early = 'comes'
  }
}

function protocolOf(line: string): Pick<Opening, 'protocol' | 'subprotocol'> {
  const [, number, sub, digests] = greeting.exec(line) ?? []
  const protocol = Number(number)
  const isWhole = (protocol < 30 || sub !== undefined) && (protocol < 32 || digests !== '')
  if (!Number.isInteger(protocol) || !isWhole) throw startupError()
  return { protocol, subprotocol: Number(sub?.slice(1) ?? 0) }
}

/** The protocol that an rsync and its client speak, as both work it out from their greetings. */
export function agreedProtocol(
  ours: number,
  { protocol, subprotocol }: Pick<Opening, 'protocol' | 'subprotocol'>,
): number {
  if (ours < protocol) return ours
  return subprotocol === 0 ? protocol : protocol - 1
}

const refusal = (text: string): RequestError => new RequestError('REQUEST_INVALID', text)
const startupError = (): RequestError => refusal('protocol startup error')
