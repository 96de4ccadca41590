// C0 and C1 controls, and the characters that turn the direction of text: with them a nickname could move the
// cursor of an operator's terminal or show as something else than it is.
const unsafe = /[\u0000-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]/g

const escaped = (character: string): string => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`

/** Text with whatever a terminal would act on written as `\u001b`. */
export const printable = (text: string): string => text.toWellFormed().replace(unsafe, escaped)

/** JSON that is safe to print: the same escapes are JSON's own, so it still parses to the same value. */
export const printableJson = (value: unknown, indent = 2): string =>
  JSON.stringify(value, undefined, indent).replace(unsafe, (character) =>
    character === '\n' ? character : escaped(character),
  )
