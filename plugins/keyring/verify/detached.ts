import { signerOf, strangerIn } from './chain.js'
import { type DataQuestion, DataSignature } from './data.js'
import { attempt } from './signed.js'
import { invalid, noMatch, type Verdict } from './verdict.js'
import { linesOf } from './walk.js'

/** Lines of a file of signatures; one with more is something else. */
const mostLines = 64

/**
 * Checks lines `sig01: ...` and `sig02: ...` over the bytes of a file.
 * Source: docs/reference/protocols.md: Anti-theft, What is signed.
 * @returns a verdict for each line
 */
export async function checkDetached(
  text: string,
  data: AsyncIterable<Uint8Array>,
  question: DataQuestion,
): Promise<readonly Verdict[]> {
  const lines: string[] = []
  for (const line of linesOf(text)) {
    if (lines.push(line) > mostLines)
      return [invalid(`has more than the ${mostLines} lines of signatures that are looked at`)]
  }
  const passing = lines.map((line) =>
    signerOf(line, question.trusted) === undefined
      ? noMatch(strangerIn(line))
      : attempt(() => new DataSignature(line, question)),
  )
  const signatures = passing.filter((one) => one instanceof DataSignature)
  for await (const piece of data) for (const signature of signatures) signature.update(piece)
  return passing.map((one, index) => {
    const verdict =
      one instanceof DataSignature
        ? one.verdict(['sha256', 'sha512', 'rmd160'])
        : 'fault' in one
          ? invalid(one.fault)
          : one
    return { ...verdict, reason: `line ${index + 1} ${verdict.reason}` }
  })
}
