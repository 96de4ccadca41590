import { crc32, deflateSync } from 'node:zlib'

const signature = Buffer.from('\x89PNG\r\n\x1a\n', 'latin1')

/** A picture of up to 256 colours. */
export interface Picture {
  readonly width: number
  readonly height: number
  /** Three bytes a colour: red, green, blue. */
  readonly palette: Buffer
  /** A byte a pixel, its place in the palette; rows from the top, without padding. */
  readonly pixels: Buffer
}

function chunk(type: string, content: Buffer): Buffer {
  const body = Buffer.concat([Buffer.from(type, 'latin1'), content])
  const frame = Buffer.alloc(body.length + 8)
  frame.writeUInt32BE(content.length)
  body.copy(frame, 4)
  frame.writeUInt32BE(crc32(body), body.length + 4)
  return frame
}

/** A whole PNG file (ISO/IEC 15948): eight bits a pixel, indexed colour, no filters. */
export function encodePng({ width, height, palette, pixels }: Picture): Buffer {
  const header = Buffer.alloc(13)
  header.writeUInt32BE(width, 0)
  header.writeUInt32BE(height, 4)
  header.set([8, 3, 0, 0, 0], 8) // depth, indexed; compression, filter and interlace as ever
  const rows = Buffer.alloc(height * (width + 1)) // each row begins with its filter: 0, none
  for (let y = 0; y < height; y++) pixels.copy(rows, y * (width + 1) + 1, y * width, (y + 1) * width)
  return Buffer.concat([
    signature,
    chunk('IHDR', header),
    chunk('PLTE', palette),
    chunk('IDAT', deflateSync(rows, { level: 1 })),
    chunk('IEND', Buffer.alloc(0)),
  ])
}
