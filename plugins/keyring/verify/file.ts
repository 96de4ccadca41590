import type { FileHandle } from 'node:fs/promises'
import { basename } from 'node:path'
import { addAbortSignal } from 'node:stream'
import { setImmediate as others } from 'node:timers/promises'
import { asError, RequestError, systemCode } from '../../../core/api.js'
import { checkDetached } from './detached.js'
import { checkImage } from './image.js'
import { isZip, type Kind, kindOf, noKind } from './kind.js'
import { openPlain, readWhole } from './plain-file.js'
import { judgeText } from './text.js'
import { type FileQuestion, type ForLaptop, invalid, noMatch, type Verdict } from './verdict.js'
import { readImageZip } from './zip.js'

/** Bytes of a file that is read whole. */
const largest = 64 << 20

/** What is in a file, and what laptops make of it. */
export interface Judgement {
  readonly kind: Kind
  readonly found: readonly ForLaptop[]
}

/**
 * What laptops make of a signed file of any kind.
 * @throws RequestError NOT_FOUND, REQUEST_TOO_LARGE; USAGE when the question does not fit what is in the file
 */
export async function judgeFile(path: string, question: FileQuestion): Promise<Judgement> {
  const handle = await openPlain(path)
  try {
    const { buffer } = await handle.read(Buffer.alloc(4), 0, 4, 0)
    const text = isZip(buffer) ? undefined : (await readWhole(handle, path, largest)).toString('latin1')
    const kind = text === undefined ? 'zip' : kindOf(text)
    mustFit(kind, question)
    if (kind === 'unknown') return { kind, found: [{ verdict: invalid(noKind) }] }
    if (text === undefined) return { kind, found: [{ verdict: await judgeZip(handle, path, question) }] }
    if (question.data !== undefined)
      return { kind, found: await judgeDetached(text, question.data, question) }
    const found = await collect(judgeText(kind, text, question), question.signal)
    return {
      kind,
      found: found.length > 0 ? found : [{ verdict: noMatch('names no laptop that is asked for') }],
    }
  } finally {
    await handle.close()
  }
}

/** Questions that only files of some kinds answer. */
const answered = [
  ['delegate', ['delegations', 'signature']],
  ['nonce', ['answer of OATS']],
  ['data', ['signature']],
] as const

function mustFit(kind: Kind, question: FileQuestion): void {
  for (const [name, kinds] of answered) {
    if (question[name] === undefined || kinds.some((one) => one === kind)) continue
    throw new RequestError(
      'USAGE',
      `--${name} is for a file of another kind than this one, which is: ${kind}`,
    )
  }
}

async function judgeZip(handle: FileHandle, path: string, question: FileQuestion): Promise<Verdict> {
  const zip = await readImageZip(handle.fd).catch((error: unknown) => {
    if (systemCode(error) !== undefined) throw error
    return invalid(`is no zip that a laptop can read: ${asError(error).message}`)
  })
  if ('verdict' in zip) return zip
  // Laptops look for firmware by these names.
  const isFirmware = /^(bootfw|ecfw)/i.test(basename(path)) || /^sig0[12]: rmd160 /m.test(zip.signatures)
  const image = async () => addAbortSignal(question.signal, await zip.image())
  return checkImage(isFirmware ? 'firmware' : 'os', zip.signatures, image, question)
}

async function judgeDetached(text: string, data: string, question: FileQuestion): Promise<ForLaptop[]> {
  const handle = await openPlain(data)
  try {
    const stream = handle.createReadStream({ autoClose: false, signal: question.signal })
    return (await checkDetached(text, stream, question)).map((verdict) => ({ verdict }))
  } finally {
    await handle.close()
  }
}

/** Many verdicts take a while; Ctrl-C is heard in between. */
async function collect(found: Iterable<ForLaptop>, signal: AbortSignal): Promise<ForLaptop[]> {
  const all: ForLaptop[] = []
  for (const one of found) {
    all.push(one)
    if (all.length % 64 !== 0) continue
    await others()
    signal.throwIfAborted()
  }
  return all
}
