import { closest, distance } from 'fastest-levenshtein'

/** The known word that was probably meant, as an end to a sentence: `; did you mean "id-port"?`, or nothing. */
export function didYouMean(word: string, known: Iterable<string>): string {
  const words = [...known]
  if (words.length === 0) return ''
  const near = closest(word, words)
  // Swapped letters are two changes, in a short word as well.
  const most = Math.max(word.length < 4 ? 1 : 2, Math.floor(word.length / 3))
  return distance(word, near) <= most ? `; did you mean "${near}"?` : ''
}
