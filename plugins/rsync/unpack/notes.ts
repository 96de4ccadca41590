import { type FileHandle, open } from 'node:fs/promises'
import { modeOf, type Ownership } from './entry.js'

const fileMark = '# file: '

/** Characters that are written at once. */
const enough = 64 * 1024

/**
 * Notes whose each entry is while a tree is unpacked, on the disk: a large tree has more of them than memory should
 * hold. They are the lines that `setfattr --restore` reads.
 */
export class Notes {
  readonly #file: FileHandle
  #text = ''

  private constructor(file: FileHandle) {
    this.#file = file
  }

  /** @param path of a file that is not there yet */
  static async create(path: string): Promise<Notes> {
    return new Notes(await open(path, 'wx', 0o600))
  }

  add(path: string, ownership: Ownership): void {
    this.#text += `${fileMark}${escaped(path)}\nuser.rsync.%stat="${statOf(ownership)}"\n\n`
  }

  /** Whether so much has come together that it should be written. */
  get isFull(): boolean {
    return this.#text.length >= enough
  }

  async write(): Promise<void> {
    const text = this.#text
    this.#text = ''
    await this.#file.writeFile(text)
  }

  async close({ isWhole }: { isWhole: boolean }): Promise<void> {
    try {
      if (isWhole) await this.write()
    } finally {
      await this.#file.close()
    }
  }
}

/** As rsync's `fake super` writes it: type and mode, device, owner and group. */
const statOf = (ownership: Ownership): string => {
  const { major, minor, uid, gid } = ownership
  return `${modeOf(ownership).toString(8)} ${major},${minor} ${uid}:${gid}`
}

/** The top itself as `.`; what is not plainly harmless in octal digits, as getfattr writes it. */
const escaped = (path: string): string =>
  path === ''
    ? '.'
    : path.replace(/[^\w./+-]/g, (byte) => `\\${byte.charCodeAt(0).toString(8).padStart(3, '0')}`)

/** The path that a line of notes begins with, one character a byte. */
export const pathIn = (line: string): string | undefined =>
  line.startsWith(fileMark) ? line.slice(fileMark.length).replace(/\\(\d{3})/g, unescaped) : undefined

const unescaped = (_: string, digits: string): string => String.fromCharCode(Number.parseInt(digits, 8))

/** What a line of notes says of the path before it. */
export function statIn(line: string) {
  const [, mode, ...rest] = /^user\.rsync\.%stat="([0-7]+) (\d+),(\d+) (\d+):(\d+)"$/.exec(line) ?? []
  if (mode === undefined) return undefined
  const [major = 0, minor = 0, uid = 0, gid = 0] = rest.map(Number)
  return { mode, major, minor, uid, gid }
}
