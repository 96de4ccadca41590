import { RequestError } from '../../../core/api.js'
import { checkOptions } from './options.js'

/** Bytes of all arguments, and of one: rsync cuts longer ones. */
const most = 1 << 20
const longest = 4096

const lineFeed = 10
const carriageReturn = 13

/**
 * Reads the arguments that a client sends to an rsync daemon: lines up to an empty one; from protocol 30 on they end
 * with NUL. A client with `--secluded-args` sends another list of them behind, which always ends lines with NUL.
 */
export class ArgumentsReader {
  /** The options, once all have come. */
  readonly options: string[] = []
  readonly #module: string
  #ends: (byte: number) => boolean
  #bytes: number[] = []
  #total = 0
  #list: string[] = []
  #isSecluded = false

  /** @param module its name; paths begin with it */
  constructor(protocol: number, module: string) {
    this.#module = module
    this.#ends = protocol >= 30 ? isNul : isLineEnd
  }

  /**
   * @returns how many bytes of a piece are arguments; undefined when all are, and more must come
   * @throws RequestError for what is refused
   */
  read(piece: Buffer): number | undefined {
    for (const [at, byte] of piece.entries()) {
      this.#total += 1
      if (this.#total > most) throw tooLong()
      if (!this.#ends(byte)) {
        if (this.#bytes.length >= longest) throw tooLong()
        this.#bytes.push(byte)
      } else if (this.#bytes.length > 0) {
        this.#list.push(Buffer.from(this.#bytes).toString('latin1'))
        this.#bytes = []
      } else if (this.#isWhole()) {
        return at + 1
      }
    }
    return undefined
  }

  /** Whether the options ask the server to send: for a client that sends, rsync itself says that it is read-only. */
  get isPull(): boolean {
    return this.options.includes('--sender')
  }

  /** A list has come to its end. @returns whether it was the last */
  #isWhole(): boolean {
    const list = this.#list
    const dot = list.indexOf('.')
    const options = (dot === -1 ? list : list.slice(0, dot)).map((word) => this.#plain(word))
    // rsync may take the first word for the name of the program, and pass it over: so it must be one without meaning.
    const first = options.shift()
    if (first !== (this.#isSecluded ? 'rsync' : '--server'))
      throw refused(`on remote machine: ${first}: unknown option`)
    checkOptions(options)
    if (dot >= 0) for (const path of list.slice(dot + 1)) this.#checkPath(path)
    this.options.push(...options)
    const isMore = !this.#isSecluded && options.some(secludes)
    this.#list = []
    this.#ends = isNul
    this.#isSecluded = isMore
    return !isMore
  }

  /** In the first list a client escapes some characters of values with a backslash. */
  #plain(word: string): string {
    if (!word.includes('\\')) return word
    const name = word.slice(0, word.indexOf('='))
    // A name is never escaped; rsyncs of different ages would read another one.
    if (!word.includes('=') || name.includes('\\'))
      throw refused(`on remote machine: ${word}: unknown option`)
    return this.#isSecluded ? word : word.replace(/\\(.)/gs, '$1')
  }

  /** rsync takes the module's name away, and what is left would be an option. */
  #checkPath(path: string): void {
    const name = this.#module
    const rest = (text: string) => (text.startsWith(name) ? text.slice(name.length).replace(/^\//, '') : text)
    const parts = path.split(` ${name}/`)
    if ([...parts.map(rest), ...parts].some((part) => /^[-\\]/.test(part))) {
      throw refused(`the path ${path} begins like an option`)
    }
  }
}

const secludes = (word: string): boolean => /^-[A-Za-z]*s/.test(word) && !word.startsWith('--')
const isNul = (byte: number): boolean => byte === 0
const isLineEnd = (byte: number): boolean => byte === lineFeed || byte === carriageReturn

const refused = (message: string): RequestError => new RequestError('REFUSED', message)
const tooLong = (): RequestError => refused('the arguments are too long')
