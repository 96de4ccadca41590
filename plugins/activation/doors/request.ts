import { parseMoment, parseSerial } from '../../keyring/public.js'

/** What a laptop asks for over TCP. */
export type Request =
  | { readonly ask: 'lease'; readonly serial: string }
  | {
      readonly ask: 'rtcreset'
      readonly serial: string
      /** What its clock says, as a moment. */
      readonly current: string
      /** 10 digits. */
      readonly nonce: string
    }

/** Bytes that a request may have. */
export const longest = 256

const serialForm = /^([A-Za-z]{3}[0-9A-Fa-f]{8})(?:\r?\n|\r)?$/
const resetForm = /^rtcreset ([A-Za-z]{3}[0-9A-Fa-f]{8}) (\d{8}T\d{6}Z) (\d{1,10})(\r?\n|\r)?$/
const partOfSerial = /^(?:[A-Za-z]{0,3}|[A-Za-z]{3}[0-9A-Fa-f]{0,8})$/
const resetBegins = 'rtcreset '

/**
 * Reads what came so far. A serial has a fixed length, and is answered at once; a reset of the clock has none, and is
 * complete with its line end or when nothing more comes: `pausing`.
 * Source: docs/reference/protocols.md: Anti-theft, Over TCP.
 * @param isOver nothing more comes
 */
export function readRequest(text: string, isOver: boolean): Request | 'incomplete' | 'pausing' | 'garbage' {
  const serial = serialForm.exec(text)?.[1]
  if (serial !== undefined) return { ask: 'lease', serial: parseSerial(serial) ?? serial }
  const begins = text.slice(0, resetBegins.length)
  if (begins.length < resetBegins.length ? resetBegins.startsWith(begins) : begins === resetBegins)
    return readReset(text, isOver)
  return !isOver && partOfSerial.test(text) ? 'incomplete' : 'garbage'
}

function readReset(text: string, isOver: boolean): ReturnType<typeof readRequest> {
  const [, serial = '', current = '', count = '', end] = resetForm.exec(text) ?? []
  if (serial === '') return isOver || text.includes('\n') || text.length >= longest ? 'garbage' : 'incomplete'
  if (end === undefined && !isOver) return 'pausing'
  if (parseMoment(current) === undefined) return 'garbage'
  // The lines of laptops have exactly ten digits there, and theirs begin with zeroes, too.
  return { ask: 'rtcreset', serial: parseSerial(serial) ?? serial, current, nonce: count.padStart(10, '0') }
}
