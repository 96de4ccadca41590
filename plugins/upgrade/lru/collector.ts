import { access } from 'node:fs/promises'
import { join } from 'node:path'
import { type Logger, RequestError } from '../../../core/api.js'
import type { Build, Builds, Modules } from '../../rsync/public.js'
import { amount } from '../text.js'
import type { Disk } from './disk.js'
import type { Uses } from './uses.js'

/** Milliseconds in which a build that was installed or asked for does not go. */
const recently = 600_000

/** What becomes of a build, and why. */
export interface Verdict {
  readonly name: string
  readonly keep: boolean
  readonly why: string
  readonly bytes: number
  /** ISO 8601, UTC. */
  readonly usedAt: string
}

/** Room that a build which is being fetched will take. */
interface Reserved {
  packed: number
  unpacked: number
  /** What has come of it, and is no longer free. */
  came: number
}

export interface CollectorParts {
  readonly builds: Builds
  readonly modules: Pick<Modules, 'active'>
  readonly uses: Uses
  /** Bytes of all fetched builds. */
  readonly limit: number
  /** Bytes of the disk that stay free. */
  readonly keepFree: number
  /** Of the builds. */
  readonly disk: Disk
  /** Where they come to while they are packed. */
  readonly downloads: Disk
  /** Whether an operator has said that a build shall be here; in words that follow its name, or undefined. */
  wanted(name: string): string | undefined
  /** Addresses of those who fetch a module now, with commas between. */
  visitors(module: string): string
  /** Removes the beginnings of builds that nobody waits for. */
  sweep(): Promise<unknown>
  readonly log: Logger
}

/** What is too little, in bytes; nothing is where a number is not above 0. */
interface Excess {
  /** Beyond the limit. */
  over: number
  /** On the disk of the builds. */
  short: number
  /** On that of packed builds, where it is another one. */
  away: number
}

/** Removes the builds that nobody has asked for the longest, when there is too little room. */
export class Collector {
  readonly #parts: CollectorParts
  readonly #reserved = new Map<string, Reserved>()
  #turn: Promise<unknown> = Promise.resolve()

  constructor(parts: CollectorParts) {
    this.#parts = parts
  }

  /** Bytes of all fetched builds. */
  get fetched(): number {
    return this.#fetched().reduce((sum, { bytes }) => sum + bytes, 0)
  }

  /** What would go now and why, and why the others stay; in the order in which they would go. */
  async verdicts(): Promise<Verdict[]> {
    return await this.#judge(await this.#excess())
  }

  /** Removes what goes beyond the limits. @returns what has gone */
  collect(): Promise<Verdict[]> {
    return this.#alone(async () => await this.#remove(await this.verdicts()))
  }

  /** Removes one build for an operator. @throws RequestError REFUSED when it is in use, or shall stay */
  remove(name: string): Promise<void> {
    return this.#alone(async () => {
      const { builds, uses, log } = this.#parts
      const build = builds.get(name)
      const why = (build && (await this.#stuck(build))) ?? this.#inUse(name)
      if (why !== undefined) throw new RequestError('REFUSED', `build-${name} stays: ${why}`)
      await builds.remove(name, 'an operator said so')
      await uses.removed(name)
      log.info({ build: name }, `removed build-${name}: an operator said so`)
    })
  }

  /**
   * Keeps room for a build that is being fetched, in place of what was kept for it before.
   * @param packed bytes that are still to come
   * @throws RequestError NO_SPACE when even without all that may go there is too little; then nothing goes
   */
  makeRoom(name: string, packed: number, unpacked: number): Promise<void> {
    return this.#alone(async () => {
      this.#reserved.delete(name)
      const mine = { packed, unpacked, came: 0 }
      let excess = await this.#excess(mine)
      if (excess.short > 0 || excess.away > 0) {
        await this.#parts.sweep()
        excess = await this.#excess(mine)
      }
      const verdicts = await this.#judge(excess)
      const going = verdicts.filter(({ keep }) => !keep).reduce((sum, { bytes }) => sum + bytes, 0)
      const lacks = { over: excess.over - going, short: Math.max(excess.short - going, excess.away), away: 0 }
      if (lacks.over > 0 || lacks.short > 0) throw noRoom(packed + unpacked, lacks)
      await this.#remove(verdicts)
      this.#reserved.set(name, mine)
    })
  }

  /** So much of a build has come since room was made for it. */
  came(name: string, bytes: number): void {
    const reserved = this.#reserved.get(name)
    if (reserved !== undefined) reserved.came = bytes
  }

  release(name: string): void {
    this.#reserved.delete(name)
  }

  /** Bytes that may be written for a build whose size nobody has told. */
  async spare(): Promise<number> {
    const { disk, downloads, keepFree, limit } = this.#parts
    return Math.min((await downloads.free()) - keepFree, (await disk.free()) - keepFree, limit)
  }

  /** What is wrong with the room, for health. */
  async problem(): Promise<string | undefined> {
    const { disk, keepFree, limit } = this.#parts
    const free = await disk.free()
    const going = (await this.verdicts()).filter(({ keep }) => !keep)
    const room = going.reduce((sum, { bytes }) => sum + bytes, 0)
    if (free + room < keepFree)
      return `only ${amount(free)} are free on the disk of ${disk.folder}, and ${amount(keepFree)} are to stay free (upgrade-keep-free): no build is fetched`
    if (this.fetched - room > limit)
      return `fetched builds take ${amount(this.fetched)} of ${amount(limit)} (upgrade-limit), and too few of them may go`
    return undefined
  }

  #fetched(): Build[] {
    return this.#parts.builds.list().filter(({ from }) => from === 'upgrade')
  }

  /** @param wanted room for one more build, besides those that are being fetched */
  async #excess(wanted?: Reserved): Promise<Excess> {
    const { limit, keepFree, disk, downloads } = this.#parts
    const all = wanted === undefined ? [] : [wanted, ...this.#reserved.values()]
    const sum = (of: (one: Reserved) => number) => all.reduce((total, one) => total + Math.max(0, of(one)), 0)
    const packed = sum((one) => one.packed - one.came)
    // A build that comes unpacked takes its room while it comes.
    const unpacked = sum((one) => one.unpacked - Math.max(0, one.came - one.packed))
    const shared = await disk.isThatOf(downloads)
    return {
      over: this.fetched + sum((one) => one.unpacked) - limit,
      short: keepFree + unpacked + (shared ? packed : 0) - (await disk.free()),
      away: shared ? 0 : keepFree + packed - (await downloads.free()),
    }
  }

  async #judge({ over, short }: Excess): Promise<Verdict[]> {
    const { limit, keepFree, uses } = this.#parts
    uses.calm()
    const verdicts: Verdict[] = []
    const stays: Verdict[] = []
    let gone = 0
    for (const { build, usedAt } of this.#byUse()) {
      const { name, bytes } = build
      const common = { name, bytes, usedAt }
      const why = await this.#reasonToKeep(build, usedAt)
      if (why !== undefined) stays.push({ ...common, keep: true, why })
      else if (over > gone || short > gone) {
        const reason =
          over > gone
            ? `fetched builds would have more than ${amount(limit)} (upgrade-limit)`
            : `less than ${amount(keepFree)} of the disk would stay free (upgrade-keep-free)`
        verdicts.push({ ...common, keep: false, why: `${reason}, and this one was last used ${usedAt}` })
        gone += bytes
      } else stays.push({ ...common, keep: true, why: 'there is room for it' })
    }
    return [...verdicts, ...stays]
  }

  /** The one that was used the longest ago comes first. */
  #byUse(): { build: Build; usedAt: string }[] {
    return this.#fetched()
      .map((build) => ({ build, usedAt: this.#parts.uses.get(build.name)?.usedAt ?? build.publishedAt }))
      .sort(
        (one, other) =>
          Date.parse(one.usedAt) - Date.parse(other.usedAt) || one.build.name.localeCompare(other.build.name),
      )
  }

  async #reasonToKeep(build: Build, usedAt: string): Promise<string | undefined> {
    const stuck = (await this.#stuck(build)) ?? this.#parts.wanted(build.name)
    if (stuck !== undefined) return stuck
    const now = Date.now()
    for (const [what, at] of [
      ['asked for', usedAt],
      ['fetched', this.#parts.uses.get(build.name)?.installedAt ?? build.publishedAt],
    ] as const) {
      const age = Math.abs(now - Date.parse(at))
      if (age < recently) return `it was ${what} ${Math.floor(age / 60_000)} minutes ago`
    }
    return this.#inUse(build.name)
  }

  async #stuck({ name, path }: Build): Promise<string | undefined> {
    if (this.#parts.uses.get(name)?.sticky === true) return 'it is sticky ("upgrade unstick" ends that)'
    return (await isThere(join(path, 'sticky'))) ? `${join(path, 'sticky')} says so` : undefined
  }

  #inUse(name: string): string | undefined {
    const { modules, visitors } = this.#parts
    for (const module of [`build-${name}`, 'builds']) {
      if (modules.active(module) > 0) return `${visitors(module) || 'somebody'} is fetching ${module}`
    }
    return undefined
  }

  async #remove(verdicts: readonly Verdict[]): Promise<Verdict[]> {
    const { builds, uses, log } = this.#parts
    const gone: Verdict[] = []
    for (const verdict of verdicts) {
      const { name, keep, why, bytes } = verdict
      // Somebody may have come while others were removed.
      if (keep || this.#inUse(name) !== undefined) continue
      if (await builds.remove(name, why)) {
        log.info({ build: name, bytes, why }, `removed build-${name}: ${why}`)
        gone.push(verdict)
      }
      await uses.removed(name)
    }
    return gone
  }

  #alone<T>(task: () => Promise<T>): Promise<T> {
    const turn = this.#turn.then(task)
    this.#turn = turn.catch(() => undefined)
    return turn
  }
}

const isThere = (path: string): Promise<boolean> =>
  access(path).then(
    () => true,
    () => false,
  )

const noRoom = (bytes: number, { over, short }: Excess): RequestError => {
  const where = short > 0 ? 'on the disk of the server' : 'of what the server may use for builds'
  const lack = amount(Math.max(over, short))
  return new RequestError(
    'NO_SPACE',
    `it needs about ${amount(bytes)}, and there is ${lack} too little ${where}`,
  )
}
