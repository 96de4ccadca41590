import { Random } from './random.js'
import { vocabulary } from './words.js'

const pooled = 4096

function sentence(random: Random): Buffer {
  const words = Array.from({ length: 6 + random.below(16) }, () => random.pick(vocabulary))
  return Buffer.from(`${words.join(' ')}.\n`)
}

let pool: readonly Buffer[] | undefined

/** Together they are larger than a packer's window, so that prose shrinks as prose does, not as a pattern. */
function sentences(): readonly Buffer[] {
  if (!pool) {
    const random = new Random('sentences')
    pool = Array.from({ length: pooled }, () => sentence(random))
  }
  return pool
}

/** So many bytes of text, the last sentence cut off where they end. */
export function writeProse(random: Random, size: number): Buffer {
  const known = sentences()
  const text = Buffer.alloc(size)
  for (let at = 0; at < size; ) at += known[random.below(known.length)]?.copy(text, at) ?? size
  return text
}
