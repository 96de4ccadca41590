/** `SHC` and eight hex digits. */
export const serialOf = (number: number): string => `SHC${number.toString(16).toUpperCase().padStart(8, '0')}`

export const uuidOf = (number: number): string =>
  `8BF9AC40-26F8-4BCC-A699-${number.toString(16).toUpperCase().padStart(12, '0')}`
