import { closeSync, openSync, readSync } from 'node:fs'
import { systemCode } from '../../../core/api.js'
import { blocksOf, weightOf } from '../archive/weight.js'

// `DATE TIME [PID] ITEM LENGTH`, perhaps with a name, as --log-file-format='%i %l' makes it (rsync(1), --itemize-changes).
const item = /^\S+ \S+ \[\d+\] ([<>ch.][fdLDS]\S{9,}|\*deleting) +(\d+)(?: .*)?$/
// What rsync writes last, when it has done everything and could write it all.
const conclusion = /^\S+ \S+ \[\d+\] sent [\d,.]+ bytes {2}received [\d,.]+ bytes {2}total size ([\d,.]+)$/
const block = 256 << 10

/** What our rsync has done so far, by the log it writes. */
export class Changes {
  /** Files, directories and links that were made, changed or removed. */
  count = 0
  /** Of those that were not there before. */
  newFiles = 0
  /** Bytes of files that were sent, whether they were there before or not. */
  bytes = 0
  /** Bytes of the disk for what came, at most; what was there before under these names is not taken off. */
  weight = 0
  /** Whether the last line is rsync's conclusion: only then are no lines missing, for want of room. */
  isComplete = false
  /** Bytes of all files and links of the laptop, by its list; undefined before the conclusion. */
  total: number | undefined
  readonly #path: string
  #at = 0
  #rest = ''

  constructor(path: string) {
    this.#path = path
  }

  /** Reads on from where it was. */
  read(): void {
    let file: number
    try {
      file = openSync(this.#path, 'r')
    } catch (error) {
      if (systemCode(error) === 'ENOENT') return
      throw error
    }
    try {
      const buffer = Buffer.allocUnsafe(block)
      for (;;) {
        const length = readSync(file, buffer, 0, block, this.#at)
        if (length === 0) return
        this.#at += length
        const lines = (this.#rest + buffer.toString('latin1', 0, length)).split('\n')
        this.#rest = lines.pop() ?? ''
        for (const line of lines) this.#note(line)
      }
    } finally {
      closeSync(file)
    }
  }

  #note(line: string): void {
    const total = conclusion.exec(line)?.[1]
    this.isComplete = total !== undefined
    if (total !== undefined) this.total = Number(total.replace(/[,.]/g, ''))
    const [, what, length] = item.exec(line) ?? []
    if (what === undefined) return
    this.count += 1
    const isNew = what.endsWith('+')
    if (isNew) this.newFiles += 1
    if (what.startsWith('>f')) {
      this.bytes += Number(length)
      this.weight += isNew ? weightOf('file', Number(length)) : blocksOf(Number(length))
    } else if (isNew) this.weight += weightOf(what[1] === 'L' ? 'link' : 'directory', Number(length))
  }
}
