/** Serials that are named in one sentence. */
const mostNamed = 20

/** `SHC00000001, SHC00000002 and 3 more` */
export function named(serials: readonly string[]): string {
  const first = serials.slice(0, mostNamed).join(', ')
  return serials.length > mostNamed ? `${first} and ${serials.length - mostNamed} more` : first
}

/** That laptops have one uuid in the operator's list and another in their delegation; undefined when there are none. */
export function atOdds(serials: readonly string[]): string | undefined {
  if (serials.length === 0) return undefined
  const who = serials.length === 1 ? '1 laptop has' : `${serials.length} laptops have`
  const whose = serials.length === 1 ? 'its' : 'their'
  return `${who} one uuid in your list and another in ${whose} delegation: ${named(serials)}; that of the list counts; see "explain SERIAL"`
}
