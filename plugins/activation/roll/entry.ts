import type { Laptop, Stock, Theft } from '../documents.js'

/** Laptops that one file may name, and one server may know. */
export const mostLaptops = 100_000

/** What is known of a serial. */
export interface Entry {
  readonly serial: string
  readonly laptop?: Laptop
  readonly stock?: Stock
  readonly theft?: Theft
}

export const isStolen = ({ theft }: Entry): boolean => theft !== undefined && theft.recovered === undefined
