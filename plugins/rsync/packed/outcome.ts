/** What became of one packed build. */
export interface Outcome {
  /** Under which it is published; where that is not known, what its files begin with. */
  readonly name: string
  readonly what: 'published' | 'unchanged' | 'withdrawn' | 'refused'
  /** Why; or what an operator should know all the same. One sentence. */
  readonly note?: string
}

/** `13.2.0-13 refused: os13-tree.tar.xz has the md5 sum ...` */
export const sentence = ({ name, what, note }: Outcome): string =>
  `${name} ${what}${note === undefined ? '' : `: ${note}`}`
