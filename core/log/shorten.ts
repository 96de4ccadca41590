/** Characters of a line, and of one text in a line that is longer. */
const [longestLine, longestText] = [8192, 1000]

/**
 * A line that is not too long, and still JSON: long texts are cut, and say how long they were; of a line that is long
 * for its many facts, what it says is left.
 * @param line JSON, as pino makes it
 */
export function shorten(line: string): string {
  if (line.length <= longestLine) return line
  const facts = JSON.parse(line, (_name, value: unknown) =>
    typeof value === 'string' && value.length > longestText
      ? `${value.slice(0, longestText).toWellFormed()}… (${value.length} characters)`
      : value,
  ) as Record<string, unknown>
  const short = `${JSON.stringify(facts)}\n`
  if (short.length <= longestLine) return short
  const { level, time, plugin, msg } = facts
  return `${JSON.stringify({ level, time, plugin, msg, characters: line.length })}\n`
}
