import type { Kind, Lane } from './kind.js'

/** Lines in one second. */
interface Share {
  /** Of the lane; half of them of one kind. */
  readonly most: number
  /** Of one source. */
  readonly each: number
}

const shares: Readonly<Record<Lane, Share>> = {
  fault: { most: 200, each: 20 },
  learner: { most: 200, each: 40 },
  // As a class behind one router asks.
  client: { most: 800, each: 400 },
  other: { most: 200, each: 100 },
}

/** Kinds whose first line in a second always gets through, so that each is heard in a flood of others. */
const mostFirsts = 50
/** Kinds that are counted apart when they are left out, and those that are told. */
const [mostKinds, mostTold] = [200, 20]
/** Characters of a line beyond which it counts as more than one. */
const unit = 1024
/** Ticks of a second between two tellings in a flood that goes on. */
const ticksBetween = 60

/** What was left out since it was told last. */
export interface LeftOut {
  readonly lines: number
  readonly seconds: number
  /** Lines by what they were, most first. */
  readonly kinds: Readonly<Record<string, number>>
}

interface Counts {
  lines: number
  readonly kinds: Map<string, number>
  readonly sources: Map<string, number>
}

const emptyCounts = (): Counts => ({ lines: 0, kinds: new Map(), sources: new Map() })

/**
 * Decides which lines of the log get through. Each lane has its own share of a second, and in it each kind and each
 * source: requests by the thousand leave out no error, and one error by the thousand leaves out no other. All tables
 * are bounded, since only what got through is remembered, and for a second.
 */
export class Flood {
  readonly #now: () => number
  readonly #tell: (left: LeftOut) => void
  #second = -1
  #lanes = new Map<Lane, Counts>()
  #firsts = 0
  readonly #left = new Map<string, number>()
  #lines = 0
  /** Of those, since the last tick. */
  #fresh = 0
  #ticks = 0
  #timer: NodeJS.Timeout | undefined

  /**
   * @param tell when nothing was left out for a second, and each minute of a flood
   * @param now milliseconds
   */
  constructor(tell: (left: LeftOut) => void, now: () => number = () => performance.now()) {
    this.#tell = tell
    this.#now = now
  }

  /** @returns whether the line gets through; if not, it is counted */
  admit(line: Kind): boolean {
    const second = Math.floor(this.#now() / 1000)
    if (second !== this.#second) {
      this.#second = second
      this.#lanes.clear()
      this.#firsts = 0
    }
    const counts = this.#lanes.get(line.lane) ?? emptyCounts()
    if (!this.#isWithin(line, counts)) {
      this.#leaveOut(line)
      return false
    }
    this.#lanes.set(line.lane, counts)
    add(counts.kinds, line.kind, 1)
    add(counts.sources, sourceOf(line), 1)
    counts.lines += 1
    return true
  }

  /** A line that got through was so long. */
  charge({ lane }: Kind, length: number): void {
    const counts = this.#lanes.get(lane)
    if (counts !== undefined) counts.lines += Math.floor(length / unit)
  }

  /** A second has passed. */
  tick(): void {
    this.#ticks += 1
    const isOver = this.#fresh === 0
    this.#fresh = 0
    if (isOver || this.#ticks >= ticksBetween) this.tellNow()
    if (!isOver) return
    clearInterval(this.#timer)
    this.#timer = undefined
  }

  /** Tells what was left out, if anything was. */
  tellNow(): void {
    if (this.#lines === 0) return
    const sorted = [...this.#left].sort(([, one], [, other]) => other - one)
    const told = sorted.slice(0, mostTold)
    const others = this.#lines - told.reduce((sum, [, count]) => sum + count, 0)
    if (others > 0) told.push(['others', others])
    const left = { lines: this.#lines, seconds: Math.max(1, this.#ticks), kinds: Object.fromEntries(told) }
    this.#left.clear()
    this.#lines = 0
    this.#ticks = 0
    this.#tell(left)
  }

  #isWithin(line: Kind, counts: Counts): boolean {
    const { most, each } = shares[line.lane]
    const alike = counts.kinds.get(line.kind) ?? 0
    if (alike === 0 && this.#firsts < mostFirsts) {
      this.#firsts += 1
      return true
    }
    const fromThere = counts.sources.get(sourceOf(line)) ?? 0
    return counts.lines < most && alike < most / 2 && fromThere < each
  }

  #leaveOut({ lane, kind, source }: Kind): void {
    const full = lane === 'client' ? `${kind} from ${source}` : kind
    if (this.#left.has(full) || this.#left.size < mostKinds) add(this.#left, full, 1)
    this.#lines += 1
    this.#fresh += 1
    this.#timer ??= setInterval(() => this.tick(), 1000).unref()
  }
}

/** Of a fault, each kind is a source of its own; of requests, each outcome: 404s of one address leave out no other. */
const sourceOf = ({ lane, kind, source }: Kind): string =>
  lane === 'learner' || lane === 'other' ? source || kind : `${source} ${kind}`

function add(counts: Map<string, number>, key: string, count: number): void {
  counts.set(key, (counts.get(key) ?? 0) + count)
}
