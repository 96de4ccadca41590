import { isUuid, parseSerial } from '../../keyring/public.js'
import { calmly } from '../breath.js'
import { mostLaptops } from '../roll/entry.js'
import { lines, tooLong } from './lines.js'
import { isRow, type Row, rowsOfCsv, rowsOfWords } from './records.js'
import { type Places, placesIn, type Shape } from './shape.js'
import { type Reading, Refusals } from './tally.js'

/** A laptop as a list has it. */
export interface FoundLaptop {
  readonly line: number
  readonly serial: string
  /** To the letter; a secret. */
  readonly uuid?: string
  readonly school?: string
}

/** Characters of a school's name. */
const longestSchool = 200

const noSerial = 'has no serial of a laptop, three letters and eight hex digits, where it should be'
const tooMany = `is one more than ${mostLaptops} laptops`

/** What a machine without manufacturing data gives for its uuid (docs/reference/protocols.md: Identity). */
const nobodys = /^[0-]+$/

/**
 * Reads a list of laptops.
 * Source: docs/reference/protocols.md: Anti-theft, Files from the field.
 */
export async function readLaptops(
  bytes: Buffer,
  shape: Shape,
  signal?: AbortSignal,
): Promise<Reading<FoundLaptop>> {
  const heading = shape.form === 'csv' ? shape.heading : undefined
  const wordsAt = heading === undefined ? cellAt : cellsWordsAt
  const collected = new Collected(wordsAt)
  const placesOf = (cells: readonly string[]) => heading ?? placesIn(cells)
  const accepts = (cells: readonly string[]) =>
    wordsAt(cells, placesOf(cells)?.serial).some((word) => parseSerial(word) !== undefined)
  const rows = shape.form === 'words' ? rowsOfWords(bytes) : rowsOfCsv(bytes, { ...shape, accepts })
  let isHeading = heading !== undefined
  for await (const turn of calmly(rows, signal)) {
    for (const row of turn) {
      if (isHeading) isHeading = false
      else if (!isRow(row)) collected.refuse({ line: row.line, reason: row.fault })
      else if (shape.form === 'words') collected.take(row, { serial: 0, uuid: 1, school: undefined })
      else collected.take(row, placesOf(row.cells))
    }
  }
  return collected
}

/** Reads a list of serials, one a line. */
export async function readSerials(bytes: Buffer, signal?: AbortSignal): Promise<Reading<FoundLaptop>> {
  const collected = new Collected(cellAt)
  for await (const turn of calmly(lines(bytes), signal)) {
    for (const { number: line, text } of turn) {
      if (text === undefined) collected.refuse({ line, reason: tooLong })
      else
        collected.take(
          {
            line,
            cells: [
              text
                .trim()
                .replace(/^"(.*)"$/, '$1')
                .trim(),
            ],
          },
          alone,
        )
    }
  }
  return collected
}

const alone: Places = { serial: 0, uuid: undefined, school: undefined }

/** What a list of laptops says, one laptop once. */
class Collected implements Reading<FoundLaptop> {
  readonly #laptops = new Map<string, FoundLaptop>()
  readonly #wordsAt: typeof cellAt
  readonly refusals = new Refusals()
  repeated = 0

  constructor(wordsAt: typeof cellAt) {
    this.#wordsAt = wordsAt
  }

  get found(): readonly FoundLaptop[] {
    return [...this.#laptops.values()]
  }

  refuse(refusal: { line: number; serial?: string; reason: string }): void {
    this.refusals.add(refusal)
  }

  take({ line, cells }: Row, places: Places | undefined): void {
    const words = this.#wordsAt(cells, places?.serial)
    const serials = words.map(parseSerial)
    const uuids = this.#wordsAt(cells, places?.uuid)
    const school = cells[places?.school ?? -1]
    if (words.length === 0 || serials.includes(undefined)) this.refuse({ line, reason: noSerial })
    const fault = faultOf(words, uuids, school)
    for (const [index, serial] of serials.entries()) {
      const uuid = uuids[index]
      if (serial === undefined) continue
      if (fault !== undefined) this.refuse({ line, serial, reason: fault })
      else this.#add({ line, serial, ...(uuid && { uuid }), ...(school && { school }) })
    }
  }

  #add(laptop: FoundLaptop): void {
    const { line, serial, uuid } = laptop
    const before = this.#laptops.get(serial)
    if (before === undefined) {
      if (this.#laptops.size === mostLaptops) this.refuse({ line, serial, reason: tooMany })
      else this.#laptops.set(serial, laptop)
    } else if (uuid !== undefined && before.uuid !== undefined && uuid !== before.uuid) {
      this.refuse({ line, serial, reason: `stands in line ${before.line} already, with another uuid` })
    } else {
      this.repeated += 1
      this.#laptops.set(serial, { ...laptop, ...before })
    }
  }
}

/** What stands in a cell: one word, or none. */
function cellAt(cells: readonly string[], place: number | undefined): string[] {
  const cell = cells[place ?? -1] ?? ''
  return cell === '' ? [] : [cell]
}

/** The words in a cell: who registered with `id` may have had several laptops. */
const cellsWordsAt: typeof cellAt = (cells, place) =>
  cellAt(cells, place).flatMap((cell) => cell.split(/\s+/))

/** What is wrong with what stands beside serials. */
function faultOf(
  serials: readonly string[],
  uuids: readonly string[],
  school: string | undefined,
): string | undefined {
  if (uuids.length > 0 && uuids.length !== serials.length)
    return `stands beside ${uuids.length} uuids, so that nobody can tell which is whose`
  if (!uuids.every(isUuid)) return 'has something behind it that is no uuid'
  if (uuids.some((uuid) => nobodys.test(uuid))) return 'has the uuid of zeros, which no laptop has'
  if ((school ?? '').length > longestSchool) return `has a school of more than ${longestSchool} characters`
  return undefined
}
