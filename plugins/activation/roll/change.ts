import type { Laptop, Stock, Theft } from '../documents.js'

/** Fields of a laptop to set; null takes one away, what is not named stays. */
export type LaptopChange = {
  readonly [K in Exclude<keyof Laptop, 'serial'>]?: Laptop[K] | null | undefined
}

/** What is to become of a serial. What is not named stays as it is. */
export interface Change {
  readonly serial: string
  /** `{}` puts a laptop on the roll of which nothing but its serial is known. */
  readonly laptop?: LaptopChange
  /** In place of the leases that were kept: both kinds, where both are to stay. */
  readonly stock?: Stock
  /** In place of what was known of its theft. */
  readonly theft?: Theft
}
