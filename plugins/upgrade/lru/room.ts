import { setTimeout as sleep } from 'node:timers/promises'
import { RequestError } from '../../../core/api.js'
import type { Build, Builds } from '../../rsync/public.js'
import { amount } from '../text.js'
import type { Disk } from './disk.js'

/** Milliseconds that builds which were removed are waited for, to be gone from the disk; and between two looks. */
const longestRemoval = 120_000
const look = 100

/** Room that a build which is being fetched will take, in bytes. */
export interface Reserved {
  /** Still to come, and to go when it is unpacked. */
  readonly packed: number
  readonly unpacked: number
  /** What has come of it, and is no longer free. */
  came: number
  /** What has been unpacked of it, and is no longer free either. */
  done: number
}

/** How what has come of a build lies there: as a packed tree among downloads, or as files among builds. */
export type Form = 'packed' | 'files'

/** What is too little, in bytes; nothing is where a number is not above 0. */
export interface Excess {
  /** Beyond the limit. */
  readonly over: number
  /** On the disk of the builds. */
  readonly short: number
  /** On that of packed builds, where it is another one. */
  readonly away: number
}

export interface RoomParts {
  readonly builds: Pick<Builds, 'list' | 'get'>
  /** Bytes of all fetched builds. */
  readonly limit: number
  /** Bytes of the disk that stay free. */
  readonly keepFree: number
  /** Of the builds. */
  readonly disk: Disk
  /** Where they come to while they are packed. */
  readonly downloads: Disk
}

/** The room that fetched builds take, and that those take which are being fetched. */
export class Room {
  readonly #parts: RoomParts
  readonly #reserved = new Map<string, Reserved>()
  /** Bytes that were still to go from the disk at the last look, when so many were free; and how long they may take. */
  #going = { bytes: 0, free: 0, until: 0 }

  constructor(parts: RoomParts) {
    this.#parts = parts
  }

  builds(): Build[] {
    return this.#parts.builds.list().filter(({ from }) => from === 'upgrade')
  }

  /** Bytes of all fetched builds. */
  get fetched(): number {
    return this.builds().reduce((sum, { bytes }) => sum + bytes, 0)
  }

  /** Bytes that may be written for a build whose size nobody has told. */
  async spare(): Promise<number> {
    const { disk, downloads, keepFree, limit } = this.#parts
    return Math.min((await downloads.free()) - keepFree, (await disk.free()) - keepFree, limit)
  }

  reserve(name: string, room: Reserved): void {
    this.#reserved.set(name, room)
  }

  release(name: string): void {
    this.#reserved.delete(name)
  }

  /** So much of a build has come since room was made for it. */
  came(name: string, bytes: number): void {
    const reserved = this.#reserved.get(name)
    if (reserved !== undefined) reserved.came = bytes
  }

  /** So much of a build has been unpacked. */
  unpacked(name: string, bytes: number): void {
    const reserved = this.#reserved.get(name)
    if (reserved !== undefined) reserved.done = bytes
  }

  /** A build was removed: it goes from the disk bit by bit. @param free bytes of the disk before */
  gone(bytes: number, free: number): void {
    this.#going = { bytes: this.#stillGoing(free) + bytes, free, until: performance.now() + longestRemoval }
  }

  /**
   * What is too little. What is still going from the disk counts as free.
   * @param wanted room for one more build, besides those that are being fetched
   */
  async excess(wanted?: Reserved): Promise<Excess> {
    const free = await this.#parts.disk.free()
    return await this.#excess(free + this.#stillGoing(free), wanted)
  }

  /** The forms that lie on a disk which has less free than must stay so, or takes no more: their bytes are needed. */
  async tight(): Promise<Form[]> {
    const { disk, downloads, keepFree } = this.#parts
    const { short } = await this.excess()
    const builds = short > 0 || (await disk.isFull())
    const shared = await disk.isThatOf(downloads)
    const packed = shared ? builds : (await downloads.free()) < keepFree || (await downloads.isFull())
    return [...(packed ? (['packed'] as const) : []), ...(builds ? (['files'] as const) : [])]
  }

  #stillGoing(free: number): number {
    const { bytes, free: before, until } = this.#going
    const left = performance.now() < until ? Math.max(0, bytes - Math.max(0, free - before)) : 0
    this.#going = { bytes: left, free, until }
    return left
  }

  async #excess(free: number, wanted?: Reserved): Promise<Excess> {
    const { limit, keepFree, disk, downloads, builds } = this.#parts
    // One that has come counts as what it is.
    const others = [...this.#reserved].filter(([name]) => builds.get(name) === undefined)
    const all = wanted === undefined ? [] : [wanted, ...others.map(([, reserved]) => reserved)]
    const sum = (of: (one: Reserved) => number) => all.reduce((total, one) => total + Math.max(0, of(one)), 0)
    const packed = sum((one) => one.packed - one.came)
    // A build that comes unpacked takes its room while it comes.
    const unpacked = sum((one) => one.unpacked - Math.max(0, one.came - one.packed) - one.done)
    const shared = await disk.isThatOf(downloads)
    return {
      over: this.fetched + sum((one) => one.unpacked) - limit,
      short: keepFree + unpacked + (shared ? packed : 0) - free,
      away: shared ? 0 : keepFree + packed - (await downloads.free()),
    }
  }

  /**
   * Waits until what was removed has gone from the disk: many small files take their time.
   * @throws RequestError NO_SPACE when others have taken the room
   */
  async untilFree(wanted: Reserved, signal: AbortSignal): Promise<void> {
    const end = performance.now() + longestRemoval
    for (;;) {
      const { short } = await this.#excess(await this.#parts.disk.free(), wanted)
      if (short <= 0) return
      if (performance.now() >= end) throw noRoom(wanted, { over: 0, short })
      await sleep(look, undefined, { signal })
    }
  }
}

/** There is too little room for a build. */
export function noRoom(
  { packed, unpacked }: Reserved,
  { over, short }: Pick<Excess, 'over' | 'short'>,
): RequestError {
  const where = short > 0 ? 'on the disk of the server' : 'of what the server may use for builds'
  const lack = amount(Math.max(over, short))
  return new RequestError(
    'NO_SPACE',
    `it needs about ${amount(packed + unpacked)}, and there is ${lack} too little ${where}`,
  )
}
