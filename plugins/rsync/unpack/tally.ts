import { onDisk } from './limits.js'

/** Entries of a tree, and the bytes of the disk that they take. */
export interface Sum {
  readonly entries: number
  readonly bytes: number
}

const none: Sum = { entries: 0, bytes: 0 }

const versions = 'versions/'
const pristine = 'versions/pristine/'

/** Counts a tree, and apart from it the trees below `versions/pristine/`: one of them may be all that stays. */
export class Tally {
  #whole = none
  #versions = none
  readonly #pristine = new Map<string, Sum>()

  /** @param content bytes of a file @param isNew whether it replaces no other */
  add(path: string, content: number, isNew: boolean): void {
    const more = { entries: isNew ? 1 : 0, bytes: onDisk(content) }
    this.#whole = plus(this.#whole, more)
    if (!`${path}/`.startsWith(versions)) return
    this.#versions = plus(this.#versions, more)
    if (!path.startsWith(pristine)) return
    const end = path.indexOf('/', pristine.length)
    const name = path.slice(pristine.length, end === -1 ? undefined : end)
    // The top of a tree is not among its entries.
    this.#pristine.set(name, plus(this.#pristine.get(name) ?? none, end === -1 ? none : more))
  }

  get whole(): Sum {
    return this.#whole
  }

  get withoutVersions(): Sum {
    return {
      entries: this.#whole.entries - this.#versions.entries,
      bytes: this.#whole.bytes - this.#versions.bytes,
    }
  }

  /** Of the tree below `versions/pristine/` that comes first by name; undefined when there is none. */
  get firstPristine(): { readonly name: string; readonly sum: Sum } | undefined {
    let first: string | undefined
    for (const name of this.#pristine.keys()) if (first === undefined || name < first) first = name
    const sum = first === undefined ? undefined : this.#pristine.get(first)
    return first === undefined || sum === undefined ? undefined : { name: first, sum }
  }
}

const plus = (a: Sum, b: Sum): Sum => ({ entries: a.entries + b.entries, bytes: a.bytes + b.bytes })
