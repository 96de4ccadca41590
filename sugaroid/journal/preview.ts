import { encodePng } from './png.js'
import type { Random } from './random.js'

const width = 300
const height = 225

/** The small picture of an entry, of the size Sugar makes: boxes and a scribble, some kilobytes of PNG. */
export function drawPreview(random: Random): Buffer {
  const pixels = Buffer.alloc(width * height)
  for (let boxes = 4 + random.below(10); boxes > 0; boxes--) {
    const left = random.below(width - 20)
    const top = random.below(height - 20)
    const right = left + 10 + random.below(width - left - 10)
    const bottom = top + 10 + random.below(height - top - 10)
    const colour = 1 + random.below(15)
    for (let y = top; y < bottom; y++) pixels.fill(colour, y * width + left, y * width + right)
  }
  const scribble = random.bytes(1000 + random.below(4000))
  const start = random.below(pixels.length - scribble.length)
  for (const [at, byte] of scribble.entries()) pixels[start + at] = byte & 0x0f
  return encodePng({ width, height, palette: random.bytes(16 * 3), pixels })
}
