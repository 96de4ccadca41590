/** Where Sugar looks for properties and picture of the file NAME on a stick. */
export const metadataFolder = '.Sugar-Metadata'

/** The same as paths from the top of the stick, `*` for NAME. */
export const stickCompanions: readonly string[] = [
  `${metadataFolder}/*.metadata`,
  `${metadataFolder}/*.preview`,
]
