import { access } from 'node:fs/promises'
import { join } from 'node:path'
import { RequestError } from '../../../core/api.js'
import type { Build, Builds, Modules } from '../../rsync/public.js'
import { amount } from '../text.js'
import type { Disk } from './disk.js'
import { type Excess, noRoom, type Reserved, type Room } from './room.js'
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

export interface CollectorParts {
  readonly builds: Builds
  readonly modules: Pick<Modules, 'active'>
  readonly uses: Uses
  /** Bytes of all fetched builds. */
  readonly limit: number
  /** Bytes of the disk that stay free. */
  readonly keepFree: number
  readonly room: Room
  /** Of the builds. */
  readonly disk: Disk
  /** Whether an operator has said that a build shall be here; in words that follow its name, or undefined. */
  wanted(name: string): string | undefined
  /** Addresses of those who fetch a module now, with commas between. */
  visitors(module: string): string
  /** Removes the beginnings of builds that nobody waits for. */
  sweep(): Promise<unknown>
}

/** Removes the builds that nobody has asked for the longest, when there is too little room. */
export class Collector {
  readonly #parts: CollectorParts
  #turn: Promise<unknown> = Promise.resolve()

  constructor(parts: CollectorParts) {
    this.#parts = parts
  }

  /** What would go now and why, and why the others stay; in the order in which they would go. */
  async verdicts(): Promise<Verdict[]> {
    return await this.#judge(await this.#parts.room.excess())
  }

  /** Removes what goes beyond the limits. @returns what has gone */
  collect(): Promise<Verdict[]> {
    return this.#alone(async () => await this.#remove(await this.#judge(await this.#excess())))
  }

  /** Why an operator may not remove a build that was fetched, or have it forgotten; undefined when he may. */
  async whyKept(name: string): Promise<string | undefined> {
    const { builds, room } = this.#parts
    const isIt = (one: Build) => one.name === name && one.from === 'upgrade'
    const here = room.builds().find(isIt)
    if (here !== undefined) return (await this.stuck(here)) ?? this.#inUse(name)
    const missing = builds.missing().find(isIt)
    return missing && this.stuck(missing)
  }

  /** What makes a build sticky: a command or a file; undefined when it is not. */
  async stuck({ name, path }: Build): Promise<string | undefined> {
    if (this.#parts.uses.get(name)?.sticky === true) return 'it is sticky ("upgrade unstick" ends that)'
    return (await isThere(join(path, 'sticky'))) ? `${join(path, 'sticky')} says so` : undefined
  }

  /** Removes one build for an operator. @throws RequestError REFUSED when it is in use, or shall stay */
  remove(name: string): Promise<void> {
    return this.#alone(async () => {
      const why = await this.whyKept(name)
      if (why !== undefined) throw new RequestError('REFUSED', `build-${name} stays: ${why}`)
      // One that is missing takes no room.
      const { bytes } = this.#parts.builds.get(name) ?? { bytes: 0 }
      await this.#removeOne({ name, bytes }, 'an operator said so')
    })
  }

  /**
   * Keeps room for a build that is being fetched, in place of what was kept for it before.
   * @throws RequestError NO_SPACE when even without all that may go there is too little; then nothing goes
   */
  makeRoom(name: string, mine: Reserved, signal: AbortSignal): Promise<void> {
    return this.#alone(async () => {
      const { room } = this.#parts
      room.release(name)
      const excess = await this.#excess(mine)
      const verdicts = await this.#judge(excess)
      const going = sumOf(verdicts.filter(({ keep }) => !keep))
      const lacks = { over: excess.over - going, short: Math.max(excess.short - going, excess.away) }
      if (lacks.over > 0 || lacks.short > 0) throw noRoom(mine, lacks)
      await this.#remove(verdicts)
      await room.untilFree(mine, signal)
      room.reserve(name, mine)
    })
  }

  /** What is wrong with the room, for health. */
  async problem(): Promise<string | undefined> {
    const { disk, keepFree, room } = this.#parts
    const excess = await room.excess()
    const freed = sumOf((await this.#judge(excess)).filter(({ keep }) => !keep))
    if (excess.short > freed)
      return `only ${amount(await disk.free())} are free on the disk of rsync-root, and ${amount(keepFree)} are to stay free (upgrade-keep-free): no build is fetched`
    return undefined
  }

  /** Beginnings of builds go before builds. */
  async #excess(wanted?: Reserved): Promise<Excess> {
    const { room, sweep } = this.#parts
    const excess = await room.excess(wanted)
    if (excess.short <= 0 && excess.away <= 0) return excess
    await sweep()
    return await room.excess(wanted)
  }

  async #judge({ over, short }: Excess): Promise<Verdict[]> {
    const { limit, keepFree } = this.#parts
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
    const { uses, room } = this.#parts
    return room
      .builds()
      .map((build) => ({ build, usedAt: uses.get(build.name)?.usedAt ?? build.publishedAt }))
      .sort(
        (one, other) =>
          uses.rankOf(one.build.name) - uses.rankOf(other.build.name) ||
          Date.parse(one.usedAt) - Date.parse(other.usedAt) ||
          one.build.name.localeCompare(other.build.name),
      )
  }

  async #reasonToKeep(build: Build, usedAt: string): Promise<string | undefined> {
    const stuck = (await this.stuck(build)) ?? this.#parts.wanted(build.name)
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

  #inUse(name: string): string | undefined {
    const { modules, visitors } = this.#parts
    for (const module of [`build-${name}`, 'builds']) {
      if (modules.active(module) > 0) return `${visitors(module) || 'somebody'} is fetching ${module}`
    }
    return undefined
  }

  async #remove(verdicts: readonly Verdict[]): Promise<Verdict[]> {
    const gone: Verdict[] = []
    for (const verdict of verdicts) {
      // Somebody may have come while others were removed.
      if (verdict.keep || this.#inUse(verdict.name) !== undefined) continue
      if (await this.#removeOne(verdict, verdict.why)) gone.push(verdict)
    }
    return gone
  }

  /** @returns whether it was there */
  async #removeOne({ name, bytes }: Pick<Build, 'name' | 'bytes'>, why: string): Promise<boolean> {
    const { builds, uses, disk, room } = this.#parts
    const free = await disk.free()
    const wasThere = await builds.remove(name, why)
    if (wasThere) room.gone(bytes, free)
    await uses.removed(name)
    return wasThere
  }

  #alone<T>(task: () => Promise<T>): Promise<T> {
    const turn = this.#turn.then(task)
    this.#turn = turn.catch(() => undefined)
    return turn
  }
}

const sumOf = (verdicts: readonly Verdict[]): number => verdicts.reduce((sum, { bytes }) => sum + bytes, 0)

const isThere = (path: string): Promise<boolean> =>
  access(path).then(
    () => true,
    () => false,
  )
