import { isIPv6 } from 'node:net'

interface Account {
  left: number
  /** Milliseconds since the epoch. */
  at: number
}

const mostAccounts = 10_000
const hour = 3_600_000

/**
 * How much one address, or one key, may bring: `most` at once, and a fifth of that again each hour. A school behind one
 * router stays far below; a script that makes up laptops does not fill the disk.
 */
export class Allowance {
  readonly #most: number
  readonly #now: () => number
  readonly #accounts = new Map<string, Account>()

  /** @param most 0: no limit */
  constructor(most: number, now: () => number = Date.now) {
    this.#most = most
    this.#now = now
  }

  /**
   * @param name an address, or whatever else is counted
   * @returns whether one more is allowed
   */
  take(name: string): boolean {
    if (this.#most === 0) return true
    const now = this.#now()
    const key = network(name)
    const account = this.#accounts.get(key) ?? { left: this.#most, at: now }
    const gained = (Math.max(0, now - account.at) / hour) * (this.#most / 5)
    const left = Math.min(this.#most, account.left + gained)
    // Set anew, so that the map stays in the order of last use and its head can be forgotten.
    this.#accounts.delete(key)
    this.#accounts.set(key, { left: left >= 1 ? left - 1 : left, at: now })
    if (this.#accounts.size > mostAccounts) this.#accounts.delete(this.#accounts.keys().next().value ?? '')
    return left >= 1
  }
}

/** An IPv4 address, or the network of an IPv6 one: a single laptop has a whole /64 to choose from. */
function network(address: string): string {
  const v4 = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address)?.[1]
  if (v4 !== undefined || !isIPv6(address)) return v4 ?? address
  const [head = [], tail = []] = (address.split('%')[0] ?? '')
    .split('::')
    .map((part) => (part === '' ? [] : part.split(':')))
  const missing = Array<string>(Math.max(0, 8 - head.length - tail.length)).fill('0')
  return [...head, ...missing, ...tail].slice(0, 4).join(':')
}
