import type { Theft } from '../documents.js'
import { isStolen } from '../roll/entry.js'
import type { Roll } from '../roll/roll.js'

/** Laptops that are stolen and not back, sorted by serial. */
export const stolenOf = (roll: Roll): Theft[] =>
  [...roll.all()]
    .flatMap((entry) => (isStolen(entry) && entry.theft !== undefined ? [entry.theft] : []))
    .sort((a, b) => (a.serial < b.serial ? -1 : 1))
