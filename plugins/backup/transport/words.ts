import type { Readable } from 'node:stream'

/** Characters of rsync's standard error that are looked at. */
const most = 64 << 10
/** Lines that are passed on. */
const mostLines = 20

/**
 * Lines of rsync that a laptop may see: how it ended, and what the system said, without what it was said of.
 *
 * A client may send filter rules, and a rule may name any file of the server for more rules; rsync's complaints hold
 * lines of such a file. So nothing is passed on but what is known to be harmless, and `--msgs2stderr` keeps rsync
 * from sending its messages by another way.
 */
const harmless: readonly [form: RegExp, told: (parts: RegExpExecArray) => string][] = [
  [
    /^rsync error: [A-Za-z /().,-]+ \(code \d+\) at [a-z]+\.c\(\d+\) \[[A-Za-z]+=[\d.a-z]+\]$/,
    ([line]) => line,
  ],
  [
    /^rsync: \[\w+\] (mkstemp|mkdir|rename|write|chdir|send_files|symlink|opendir|readlink_stat) .*: ([A-Z][A-Za-z -]{1,60} \(\d{1,3}\))$/,
    ([, what, why]) => `rsync: ${what}: ${why}`,
  ],
]

/** What of rsync's standard error a laptop is told. @returns whole lines, or nothing */
export function harmlessWords(text: string): string {
  const told = new Set<string>()
  for (const line of text.split('\n')) {
    for (const [form, tell] of harmless) {
      const parts = form.exec(line)
      if (parts !== null) told.add(`${tell(parts)}\n`)
    }
  }
  return [...told].slice(0, mostLines).join('')
}

/** Reads rsync's standard error to its end. @returns a function that says what a laptop may know of it by then */
export function overhear(stderr: Readable): () => string {
  let text = ''
  stderr.setEncoding('utf8').on('data', (piece: string) => {
    // The last words are those that say how it ended.
    text = (text + piece).slice(-most)
  })
  return () => harmlessWords(text)
}
