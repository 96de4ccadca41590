import { isIPv6 } from 'node:net'
import { type Clock, systemClock } from './clock.js'

/** Questions of one address at once, and how many more each second: a whole school may stand behind one router. */
const most = 1200
const eachSecond = 20
const mostAddresses = 10_000

/** How much one network address may ask that costs a look into the store. */
export class Addresses {
  readonly #clock: Clock
  readonly #accounts = new Map<string, { left: number; at: number }>()

  constructor(clock: Clock = systemClock) {
    this.#clock = clock
  }

  /** @returns whether one more question is looked at */
  take(address: string): boolean {
    const now = this.#clock.now()
    const key = network(address)
    const { left, at } = this.#accounts.get(key) ?? { left: most, at: now }
    const has = Math.min(most, left + ((now - at) / 1000) * eachSecond)
    // Set anew, so that the map stays in the order of last use and its head can be forgotten.
    this.#accounts.delete(key)
    this.#accounts.set(key, { left: has >= 1 ? has - 1 : has, at: now })
    if (this.#accounts.size > mostAddresses) this.#accounts.delete(this.#accounts.keys().next().value ?? '')
    return has >= 1
  }
}

/** An IPv4 address, or the network of an IPv6 one: a single laptop has a whole /64 to choose from. */
function network(address: string): string {
  const v4 = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address)?.[1]
  if (v4 !== undefined || !isIPv6(address)) return v4 ?? address
  const [head = '', tail = ''] = (address.split('%')[0] ?? '').split('::')
  const parts = (text: string) => (text === '' ? [] : text.split(':'))
  const zeros = Array<string>(Math.max(0, 8 - parts(head).length - parts(tail).length)).fill('0')
  return [...parts(head), ...zeros, ...parts(tail)].slice(0, 4).join(':')
}
