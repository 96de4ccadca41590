import { signerOf, strangerIn } from './chain.js'
import { type DataQuestion, DataSignature } from './data.js'
import { attempt } from './signed.js'
import { invalid, noMatch, short, type Verdict } from './verdict.js'

/** What an image is: firmware must be signed with two hashes, an operating system or file system with one. */
export type ImageKind = 'os' | 'firmware'

/** Hashes of the signatures that a laptop wants, in their order. */
const wanted = { os: ['sha256'], firmware: ['sha256', 'rmd160'] } as const

const enough = {
  os: 'with sha256, which is enough for an operating system or file system',
  firmware: 'with sha256 and rmd160, as firmware must be',
}

/**
 * What a laptop makes of an image and its `data.sig`: the first line by a key that it knows must be good with sha256,
 * and for firmware the next line by that key with rmd160.
 * Source: docs/reference/protocols.md: Anti-theft, Keys.
 * @param image opened only when there is something to check it with
 */
export async function checkImage(
  kind: ImageKind,
  text: string,
  image: () => Promise<AsyncIterable<Uint8Array>>,
  question: DataQuestion,
): Promise<Verdict> {
  // Unlike files of lines, laptops read this one with LF alone.
  const lines = text.split('\n')
  const key = lines.map((line) => signerOf(line, question.trusted)).find((one) => one !== undefined)
  if (key === undefined) return noMatch(`data.sig ${strangerIn(lines[0] ?? '')}`)
  const own = lines.filter((line) => signerOf(line, [key]) !== undefined)
  const signatures: DataSignature[] = []
  for (const [index, hash] of wanted[kind].entries()) {
    const line = own[index]
    if (line === undefined)
      return invalid(`data.sig has no line by ${short(key.id)} with ${hash}, which firmware needs`)
    if (line.endsWith('\r')) return invalid('data.sig has CRLF line ends, which laptops do not read there')
    const signature = attempt(() => new DataSignature(line, question))
    if ('fault' in signature) return invalid(`data.sig ${signature.fault}`)
    signatures.push(signature)
  }
  for await (const piece of await image()) for (const signature of signatures) signature.update(piece)
  const verdicts = signatures.map((signature, index) =>
    signature.verdict(wanted[kind].slice(index, index + 1)),
  )
  const wrong = verdicts.find(({ verdict }) => verdict === 'invalid')
  if (wrong !== undefined) return invalid(`data.sig ${wrong.reason}`)
  const whole: Verdict = Object.assign({}, ...verdicts)
  return { ...whole, reason: `data.sig ${whole.reason}, ${enough[kind]}` }
}
