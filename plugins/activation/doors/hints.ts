/** What an answer of OATS says by itself. */
const own = new Set(['nonce', 'time', 'lease', 'stolen'])

/** Characters that one text may have. */
const longest = 1000

/**
 * Names and texts that laptops are told besides, over OATS.
 * @param words as the option `oats-hints` has them: `NAME=TEXT`
 * @throws Error that names the word that is wrong
 */
export function parseHints(words: readonly string[]): Readonly<Record<string, string>> {
  const hints: Record<string, string> = {}
  for (const word of words) {
    // Texts are signed byte by byte, and nothing says in which encoding laptops read others than these.
    const [, name = '', text = ''] = /^([a-z][a-z0-9-]{0,31})=([\x20-\x7e]*)$/.exec(word) ?? []
    if (name === '' || text.length > longest)
      throw new Error(
        `must be made of NAME=TEXT, a name of small letters, digits and hyphens and a text of at most ${longest} ASCII characters, not "${word.slice(0, 100)}"`,
      )
    if (own.has(name)) throw new Error(`must not name "${name}", which is told by itself`)
    if (Object.hasOwn(hints, name)) throw new Error(`has "${name}" twice`)
    hints[name] = text
  }
  return hints
}

/** The builds that hints name: the texts of those whose names end in "build", each once. */
export const buildsIn = (hints: Readonly<Record<string, string>>): readonly string[] => [
  ...new Set(
    Object.entries(hints)
      .filter(([name, text]) => name.endsWith('build') && text !== '')
      .map(([, text]) => text),
  ),
]
