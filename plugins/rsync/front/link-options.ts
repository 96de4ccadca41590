import { Transform, type TransformCallback } from 'node:stream'
import { linkOptions } from '../modules/stanza.js'

/** Bytes of an argument; rsync itself reads fewer. */
const longest = 65_536

const dropped = new Set(linkOptions.map((name) => `--${name}`))

/** Letters of `-rlLe.iLsfx`: those behind the `e` are no options, but what the client understands. */
const bundle = /^-([A-Za-z]+?)(e.*)?$/s

/** An option of a client, without what has a server follow links; undefined when nothing is left of it. */
export function withoutLinkOptions(option: string): string | undefined {
  if (dropped.has(option)) return undefined
  const [, letters, rest = ''] = bundle.exec(option) ?? []
  if (letters === undefined) return option
  const left = letters.replace(/[Lk]/g, '') + rest
  return left === '' ? undefined : `-${left}`
}

/**
 * The arguments of a client, without the options that have a server follow links. In a tree whose owners are in
 * attributes no link is one on the disk, so they can mean nothing there; and rsync 3.5.0 with `fake super` takes the
 * content of each file for where a link leads, and sends none. The client hears nothing of it: they change no byte of
 * how the two speak.
 */
export class LinkOptionFilter extends Transform {
  /** Ends an argument. Of a second list, that of --secluded-args, it is always NUL. */
  #end: number
  #bytes = Buffer.alloc(0)
  #lists = 1
  #isPath = false
  #isOver = false

  /** @param protocol that of the client */
  constructor(protocol: number) {
    super()
    this.#end = protocol >= 30 ? 0 : 10
  }

  override _transform(chunk: Buffer, _: BufferEncoding, done: TransformCallback): void {
    this.#bytes = Buffer.concat([this.#bytes, chunk])
    for (let end = this.#next(); end !== -1 && !this.#isOver; end = this.#next()) {
      const argument = this.#bytes.subarray(0, end)
      const terminator = this.#bytes.subarray(end, end + 1)
      this.#bytes = this.#bytes.subarray(end + 1)
      this.#pass(argument, terminator)
    }
    // Of what no rsync reads as an argument nothing is changed: rsync refuses these options of it.
    if (this.#bytes.length > longest) this.#isOver = true
    if (this.#isOver) this.#rest()
    done()
  }

  override _flush(done: TransformCallback): void {
    this.#rest()
    done()
  }

  #next(): number {
    return this.#bytes.indexOf(this.#end)
  }

  #rest(): void {
    if (this.#bytes.length > 0) this.push(this.#bytes)
    this.#bytes = Buffer.alloc(0)
  }

  #pass(argument: Buffer, terminator: Buffer): void {
    const text = argument.toString('latin1')
    if (text === '') {
      this.#lists -= 1
      this.#isOver = this.#lists === 0
      this.#isPath = false
      this.#end = 0
      this.push(terminator)
      return
    }
    const kept = this.#isPath ? text : withoutLinkOptions(text)
    if (text === '.') this.#isPath = true
    else if (!this.#isPath && isSecluding(text)) this.#lists = 2
    if (kept !== undefined) this.push(Buffer.concat([Buffer.from(kept, 'latin1'), terminator]))
  }
}

/** Whether all arguments come in a list of their own, behind the first. */
const isSecluding = (option: string): boolean =>
  option === '--secluded-args' || option === '--protect-args' || /s/.test(bundle.exec(option)?.[1] ?? '')
