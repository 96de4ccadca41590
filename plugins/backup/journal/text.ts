/**
 * Bytes of a Journal as text: well-formed, and otherwise what was there. What is no UTF-8 becomes U+FFFD.
 * @param limit bytes; text is cut before the character that goes beyond
 */
export function textOf(bytes: Uint8Array, limit = bytes.length): string {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
  if (buffer.length <= limit) return buffer.toString('utf8')
  let end = limit
  while (end > 0 && end > limit - 4 && ((buffer[end] ?? 0) & 0xc0) === 0x80) end -= 1
  return buffer.toString('utf8', 0, end)
}

// Accents as they are after NFKD. Not \p{M}: the vowel signs of Devanagari or Khmer are letters to those who read them.
const accents = /[\u0300-\u036f\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff]/g

/** Text as it is compared when somebody searches: without case and accents. */
export function folded(text: string): string {
  const lower = text.toLowerCase()
  return /^[\x00-\x7f]*$/.test(lower) ? lower : lower.normalize('NFKD').replace(accents, '')
}

/** Seconds since 1970 of a value as Sugar writes it, with or without a fraction; 0 when it is no time. */
export function secondsOf(text: string): number {
  const trimmed = text.trim()
  return /^\d{1,12}(\.\d*)?$/.test(trimmed) ? Math.floor(Number(trimmed)) : 0
}

/** Seconds of an ISO 8601 time without a zone, which Sugar's `mtime` is; read as UTC. 0 when it is no time. */
export function secondsOfIso(text: string): number {
  const match = /^\s*(\d{4}-\d\d-\d\d)T(\d\d:\d\d:\d\d)/.exec(text)
  const milliseconds = match === null ? 0 : Date.parse(`${match[1]}T${match[2]}Z`)
  return milliseconds > 0 ? Math.floor(milliseconds / 1000) : 0
}
