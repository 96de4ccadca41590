const serialForm = /^[A-Z]{3}[0-9A-F]{8}$/
const uuidForm = /^[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}$/

/** A laptop's serial in capitals, which field data does not always have; undefined when it is none. */
export function parseSerial(text: string): string | undefined {
  const serial = text.length === 11 ? text.toUpperCase() : ''
  return serialForm.test(serial) ? serial : undefined
}

/** Whether a text is a laptop's uuid. It stays as it is stored: signatures cover it to the letter. */
export const isUuid = (text: string): boolean => uuidForm.test(text)
