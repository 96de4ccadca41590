import { RequestError } from '../../core/api.js'

const serialForm = /^[A-Za-z0-9][A-Za-z0-9_-]{0,31}$/
const uuidForm = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i
const longestNickname = 1024

// What machines with a device tree but no manufacturing data send, all of them (docs/reference/protocols.md: registration, Identity).
const noSerial = 'SHF00000000'
const noUuid = '00000000-0000-0000-0000-000000000000'

/** The serials of demonstrations: no laptop has one of this form. */
const demoSerial = /^DEMO[0-9A-F]{8}$/

/** Whether a serial, in upper case, is one of a demonstration (`sugaroid demo`). */
export const isDemoSerial = (serial: string): boolean => demoSerial.test(serial)

/** Whether a serial names one machine. */
export const isSerialOfOne = (serial: string): boolean => serial !== noSerial

/** Whether a uuid names one machine. */
export const isUuidOfOne = (uuid: string): boolean => uuid !== noUuid

/**
 * A laptop's serial, in upper case: XOs have three letters and eight hex digits, others make up theirs; anything
 * that could mean something in a path, an address or a terminal is refused.
 * @throws RequestError
 */
export function parseSerial(text: string): string {
  // Before it is put in upper case: that makes plain letters of a few that are none.
  if (!serialForm.test(text)) {
    throw new RequestError(
      'REQUEST_INVALID',
      'the serial number must be 1 to 32 letters and digits, such as SHC00000000',
    )
  }
  return text.toUpperCase()
}

/**
 * A laptop's uuid, as it stands: what is signed for it later must match to the letter.
 * @throws RequestError
 */
export function parseUuid(text: string): string {
  if (!uuidForm.test(text)) {
    throw new RequestError('REQUEST_INVALID', 'the uuid must be 32 hex digits with four hyphens between')
  }
  return text
}

export const isUuid = (text: string): boolean => uuidForm.test(text)

/**
 * A learner's name: any text, kept to the letter. Control characters but tab and line ends are refused, as XML
 * cannot carry them.
 * @throws RequestError
 */
export function parseNickname(text: string): string {
  if (Buffer.byteLength(text) > longestNickname) {
    throw new RequestError('REQUEST_INVALID', `the nickname is longer than ${longestNickname} bytes`)
  }
  if (!text.isWellFormed() || /[\0-\x08\x0b\x0c\x0e-\x1f\x7f\ufffe\uffff]/.test(text)) {
    throw new RequestError('REQUEST_INVALID', 'the nickname holds characters that are no text')
  }
  return text
}
