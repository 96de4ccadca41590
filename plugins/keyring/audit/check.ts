import { type AuditLine, type Link, parseLine, start } from './line.js'

/** What a look at the whole log says. */
export interface AuditVerdict {
  /** Lines that were looked at: all, or those up to the first that is wrong. */
  readonly lines: number
  /** The first that is wrong, if one is. */
  readonly broken?: Break
}

export interface Break {
  /** Of the file, counted from 1. */
  readonly line: number
  readonly what: 'removed' | 'changed' | 'reordered' | 'cut off'
  readonly says: string
}

/** What the first line says that was written after the note of the chain's end was lost. */
export const headLost = 'keyring head-lost'

/** Goes through the lines of a log, one after the other, until it is clear what is wrong. */
export class Check {
  #last: Link = start
  #lines = 0
  #broken: Break | undefined
  /** Numbers that are missing: whether they come later tells what happened. */
  #gap: { line: number; from: number; to: number; found: number } | undefined

  /** @param text without its line end; undefined for one that is too long @returns whether to go on */
  take(text: string | undefined): boolean {
    this.#lines += 1
    const line = text === undefined ? undefined : parseLine(text)
    if (this.#gap === undefined) this.#judge(line)
    else if (line !== undefined && line.n >= this.#gap.from && line.n <= this.#gap.to) {
      const { line: at, found } = this.#gap
      this.#break(at, 'reordered', `number ${found} stands at line ${at}, and number ${line.n} behind it`)
    }
    return this.#broken === undefined
  }

  /** @param head where the chain should end; undefined when nobody knows */
  verdict(head: Link | undefined): AuditVerdict {
    if (this.#broken === undefined && this.#gap !== undefined) {
      const { line, from, to, found } = this.#gap
      const which = from === to ? `number ${from} was` : `numbers ${from} to ${to} were`
      this.#break(line, 'removed', `${which} removed: line ${line} is number ${found}`)
    }
    if (this.#broken === undefined) this.#end(head)
    return { lines: this.#lines, ...(this.#broken !== undefined && { broken: this.#broken }) }
  }

  #judge(line: AuditLine | undefined): void {
    const at = this.#lines
    const due = this.#last.n + 1
    if (line === undefined || (at === 1 && line.n === 1 && line.prev !== start.hash))
      this.#break(at, 'changed', `line ${at} is not as it was written`)
    else if (line.n > due) this.#gap = { line: at, from: due, to: line.n - 1, found: line.n }
    else if (line.n < due)
      this.#break(at, 'reordered', `number ${line.n} stands at line ${at}, where number ${due} should be`)
    else if (line.prev !== this.#last.hash)
      this.#break(at - 1, 'changed', `line ${at - 1} is not the one that line ${at} was written behind`)
    else if (line.what === headLost)
      this.#break(
        at,
        'cut off',
        `the note of where the log ended was lost before line ${at}: lines may be missing there`,
      )
    else this.#last = { n: line.n, hash: line.hash }
  }

  #end(head: Link | undefined): void {
    if (head === undefined) {
      this.#break(
        this.#lines + 1,
        'cut off',
        'the note of where the log ended was lost: lines may be missing at the end',
      )
      return
    }
    const { n, hash } = this.#last
    if (n < head.n) {
      const which = n + 1 === head.n ? `number ${head.n} was` : `numbers ${n + 1} to ${head.n} were`
      this.#break(this.#lines + 1, 'cut off', `${which} cut off at the end`)
    } else if (n > head.n || hash !== head.hash)
      this.#break(
        Math.max(this.#lines, 1),
        'changed',
        `line ${this.#lines} is not the one that was written last`,
      )
  }

  #break(line: number, what: Break['what'], says: string): void {
    this.#broken ??= { line, what, says }
  }
}
