/** How the files of a packed build are called, and what must be there of them. */
interface Family {
  /** Behind what they all begin with; the packing follows. */
  readonly tree: string
  readonly contents: string
  /** Whether somebody who packs builds so writes the sum of the tree too. */
  readonly hasSum: boolean
}

/** Those of the OLPC XS, and those that olpc-os-builder makes. @see docs/reference/protocols.md: Builds */
const families: readonly Family[] = [
  { tree: '-tree.tar', contents: '.contents', hasSum: true },
  { tree: '.tree.tar', contents: '.toc', hasSum: false },
]

const stem = '[A-Za-z0-9][A-Za-z0-9._+-]{0,127}?'
const packing = '(?:bz2|lzma|xz|gz)'
const escaped = (text: string): string => text.replaceAll('.', '\\.')

const patterns = families.map((family) => ({
  family,
  tree: new RegExp(`^(${stem})${escaped(family.tree)}\\.${packing}$`),
}))

const parts = new RegExp(
  `^${stem}(?:${families.map(({ tree }) => escaped(tree)).join('|')})\\.${packing}(?:\\.md5)?$`,
)
const texts = new RegExp(
  `^${stem}(?:\\.name|${families.map(({ contents }) => escaped(contents)).join('|')})$`,
)

/** A packed tree, by the name of its file. */
export interface TreeName {
  /** `X` of `X-tree.tar.bz2`. */
  readonly stem: string
  readonly tree: string
  readonly sum: string
  readonly needsSum: boolean
  readonly contents: string
}

/** @returns undefined for what is no packed tree */
export function treeName(file: string): TreeName | undefined {
  for (const { family, tree } of patterns) {
    const found = tree.exec(file)?.[1]
    if (found === undefined) continue
    const { hasSum, contents } = family
    return { stem: found, tree: file, sum: `${file}.md5`, needsSum: hasSum, contents: found + contents }
  }
  return undefined
}

/** The file that holds the name under which a build is published. */
export const nameFile = (stem: string): string => `${stem}.name`

/** Whether a file is part of a packed build. */
export const isPart = (file: string): boolean => parts.test(file) || texts.test(file)
