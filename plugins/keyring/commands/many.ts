import { type Call, RequestError } from '../../../core/api.js'
import type { Laptop } from '../laptops.js'

/** Signatures that are asked for at a time: they share one flush of the audit log. */
const together = 64
/** Milliseconds between two lines about how it goes. */
const between = 3000

export interface Outcome<T> {
  readonly signed: readonly { readonly laptop: Laptop; readonly value: T }[]
  readonly refused: number
}

/**
 * Signs for many laptops, in their order. One that is refused is said and passed over.
 * @throws RequestError when nothing can be signed; whatever else goes wrong
 */
export async function signForEach<T>(
  { note, signal }: Pick<Call, 'note' | 'signal'>,
  laptops: readonly Laptop[],
  sign: (laptop: Laptop) => Promise<T>,
): Promise<Outcome<T>> {
  const signed: { laptop: Laptop; value: T }[] = []
  let refused = 0
  let told = performance.now()
  for (let from = 0; from < laptops.length; from += together) {
    signal.throwIfAborted()
    const batch = laptops.slice(from, from + together)
    for (const result of await Promise.all(batch.map((laptop) => attempt(laptop, sign)))) {
      if ('value' in result) signed.push(result)
      else {
        refused += 1
        note(`refused: ${result.laptop.serial}: ${result.reason}`)
      }
    }
    if (performance.now() - told < between) continue
    told = performance.now()
    note(`${from + batch.length} of ${laptops.length} laptops ...`)
  }
  return { signed, refused }
}

async function attempt<T>(
  laptop: Laptop,
  sign: (laptop: Laptop) => Promise<T>,
): Promise<{ laptop: Laptop; value: T } | { laptop: Laptop; reason: string }> {
  try {
    return { laptop, value: await sign(laptop) }
  } catch (error) {
    if (error instanceof RequestError && (error.code === 'REFUSED' || error.code === 'REQUEST_INVALID'))
      return { laptop, reason: error.message }
    throw error
  }
}
