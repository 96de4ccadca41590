/**
 * The names that packed builds have (docs/reference/protocols.md: Builds, Packed builds): those of OLPC's own, and those
 * that olpc-os-builder writes.
 */
const families = [
  { ends: ['-tree.tar.xz', '-tree.tar.lzma', '-tree.tar.bz2'], manifests: ['.contents', '.toc'] },
  { ends: ['.tree.tar.lzma', '.tree.tar.xz', '.tree.tar.bz2'], manifests: ['.toc', '.contents'] },
] as const

/** What is appended to the name of a tree for the file with its sum; the better one first. */
export const sums = [
  { end: '.sha256', algorithm: 'sha256' },
  { end: '.md5', algorithm: 'md5' },
] as const

export type Algorithm = (typeof sums)[number]['algorithm']

/** A place where a build may be, as paths or addresses. */
export interface Candidate {
  readonly tree: string
  /** In the order in which they are looked for. */
  readonly manifests: readonly string[]
}

/**
 * @param template the path of a tree, or of all that a build consists of as far as it is the same; with {name}
 * @param name that is put into it
 */
export function candidates(template: string, name: string): Candidate[] {
  const all = families.flatMap(({ ends, manifests }) => ends.map((end) => ({ end, manifests })))
  const known = all.find(({ end }) => template.endsWith(end))
  const stem = (known === undefined ? template : template.slice(0, -known.end.length)).replaceAll(
    '{name}',
    name,
  )
  return (known === undefined ? all : [known]).map(({ end, manifests }) => ({
    tree: stem + end,
    manifests: manifests.map((manifest) => stem + manifest),
  }))
}
