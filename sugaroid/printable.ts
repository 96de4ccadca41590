// Joiners (U+200C, U+200D) stay: Persian, Indic scripts and emoji need them, and they move no cursor.
const unprintable = /(?![\u200c\u200d])[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu

function escapeUnits(text: string): string {
  return [...Array(text.length).keys()]
    .map((at) => `\\u${text.charCodeAt(at).toString(16).padStart(4, '0')}`)
    .join('')
}

/**
 * Text from a server or a file, made safe for a terminal: control characters, bidirectional overrides and
 * escape sequences become `\uXXXX`. Applied to one line of JSON it yields the same JSON value.
 */
export function printable(text: string): string {
  return text.replace(unprintable, escapeUnits)
}
