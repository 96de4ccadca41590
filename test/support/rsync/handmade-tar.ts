/** Tars whose every header is written by hand, so that they may hold what no program would write. */

export interface Entry {
  readonly name: string
  readonly type?: string
  readonly mode?: number
  readonly uid?: number
  readonly gid?: number
  /** What the header says; otherwise that of the content. */
  readonly size?: number
  readonly seconds?: number
  readonly target?: string
  readonly major?: number
  readonly minor?: number
  readonly content?: Buffer | string
  /** Changes the header before it is summed. */
  readonly forge?: (header: Buffer) => void
}

const block = 512

/** An entry with its content, filled up to whole blocks. */
export function entry(given: Entry): Buffer {
  const content = Buffer.from(given.content ?? '')
  return Buffer.concat([header(given, content.length), content, Buffer.alloc(-content.length & (block - 1))])
}

function header(given: Entry, length: number): Buffer {
  const {
    name,
    type = '0',
    mode = 0o644,
    uid = 0,
    gid = 0,
    size = length,
    seconds = 1e9,
    target = '',
  } = given
  const { major = 0, minor = 0, forge } = given
  const head = Buffer.alloc(block)
  const octal = (value: number, at: number, digits: number) =>
    head.write(`${value.toString(8).padStart(digits, '0')}\0`, at, 'latin1')
  head.write(name, 0, 100, 'latin1')
  octal(mode, 100, 7)
  octal(uid, 108, 7)
  octal(gid, 116, 7)
  octal(size, 124, 11)
  octal(seconds, 136, 11)
  head.write(type, 156, 'latin1')
  head.write(target, 157, 100, 'latin1')
  head.write('ustar\x0000', 257, 'latin1')
  octal(major, 329, 7)
  octal(minor, 337, 7)
  forge?.(head)
  head.fill(' ', 148, 156)
  let sum = 0
  for (const byte of head) sum += byte
  head.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1')
  return head
}

export const end = Buffer.alloc(2 * block)

export const tarOf = (...entries: readonly Entry[]): Buffer => Buffer.concat([...entries.map(entry), end])

/** An extended header of POSIX's. */
export function extended(values: Readonly<Record<string, string>>, type = 'x'): Entry {
  const records = Object.entries(values).map(([key, value]) => {
    const text = Buffer.from(` ${key}=${value}\n`, 'latin1')
    let length = text.length + 1
    while (String(length).length + text.length !== length) length += 1
    return Buffer.concat([Buffer.from(String(length)), text])
  })
  return { name: 'PaxHeaders/x', type, content: Buffer.concat(records) }
}

/** An extended header of GNU's: `L` a name, `K` a target. */
export const long = (type: 'L' | 'K', text: string): Entry => ({
  name: '././@LongLink',
  type,
  content: Buffer.from(`${text}\0`, 'latin1'),
})

export const directory = (name: string, more: Partial<Entry> = {}): Entry => ({
  ...{ name, type: '5', mode: 0o755 },
  ...more,
})
