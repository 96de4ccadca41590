import { type BigIntStats, createReadStream } from 'node:fs'
import { lstat, opendir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { pathIn, statIn } from '../unpack/notes.js'
import { type Around, lookOf } from '../unpack/own.js'
import type { FixedUp } from './fix-up.js'

/**
 * Writes a state file of fakeroot for a tree: what `fakeroot -i` takes. The numbers of files in it do not change when
 * the tree is moved on its disk. It says nothing of what was left out, for those numbers will be other files'.
 * @param notes what unpackTree() wrote @param state a file that is not there yet
 */
export async function writeState(
  notes: string,
  fixed: FixedUp,
  state: string,
  signal: AbortSignal,
): Promise<void> {
  const lines = inPieces(stateLines(notes, fixed))
  await writeFile(state, lines, { encoding: 'latin1', flag: 'wx', mode: 0o600, signal })
}

/** A line that has something around a tree look as it should. */
export async function lookLine(path: string, kind: Around): Promise<string> {
  return lineOf(await about(path), { mode: lookOf(kind), major: 0, minor: 0, uid: 0, gid: 0 })
}

/** The lines of a file, one character a byte. */
export async function* linesOf(path: string): AsyncGenerator<string> {
  let rest = ''
  for await (const text of createReadStream(path, 'latin1')) {
    const lines = (rest + text).split('\n')
    rest = lines.pop() ?? ''
    yield* lines
  }
  if (rest !== '') yield rest
}

/** Lines in pieces that are worth to be written: a tree may have a million. */
export async function* inPieces(lines: AsyncIterable<string>): AsyncGenerator<string> {
  let text = ''
  for await (const line of lines) {
    text += line
    if (text.length < 64 * 1024) continue
    yield text
    text = ''
  }
  yield text
}

type Stat = NonNullable<ReturnType<typeof statIn>>

const about = (path: string | Buffer): Promise<BigIntStats> => lstat(path, { bigint: true })

/** @param path below the folder, one character a byte */
const bytesOf = (folder: string, path: string): Buffer =>
  Buffer.concat([Buffer.from(join(folder, '/')), Buffer.from(path, 'latin1')])

async function* stateLines(notes: string, { tree, rest, placeOf }: FixedUp): AsyncGenerator<string> {
  /** By number, lines of files that were left out and have other names: the tree may hold one of these. */
  const shared = new Map<bigint, string>()
  let path = ''
  for await (const line of linesOf(notes)) {
    path = pathIn(line) ?? path
    const stat = statIn(line)
    if (stat === undefined) continue
    const unpacked = path === '.' ? '' : path
    const place = placeOf(unpacked)
    const numbers = await about(place === undefined ? bytesOf(rest, unpacked) : bytesOf(tree, place))
    const text = lineOf(numbers, stat)
    if (place !== undefined) yield text
    else if (numbers.nlink > 1n && !numbers.isDirectory()) shared.set(numbers.ino, text)
  }
  if (shared.size > 0) yield* linesIn(Buffer.from(tree), shared)
}

/** Of some lines, those of files that are in a tree. */
async function* linesIn(tree: Buffer, lines: Map<bigint, string>): AsyncGenerator<string> {
  const waiting = [tree]
  for (let folder = waiting.pop(); folder !== undefined; folder = waiting.pop()) {
    for await (const { name } of await opendir(folder, { encoding: 'latin1' })) {
      const path = Buffer.concat([folder, Buffer.from(`/${name}`, 'latin1')])
      const numbers = await about(path)
      if (numbers.isDirectory()) waiting.push(path)
      const text = lines.get(numbers.ino)
      if (text === undefined) continue
      yield text
      lines.delete(numbers.ino)
    }
  }
}

function lineOf({ dev, ino, nlink }: BigIntStats, { mode, major, minor, uid, gid }: Stat): string {
  const where = `dev=${dev.toString(16)},ino=${ino}`
  return `${where},mode=${mode},uid=${uid},gid=${gid},nlink=${nlink},rdev=${deviceOf(major, minor)}\n`
}

/** A device's number as Linux counts them: makedev(3). The largest has all of 32 bits, and none of them is a sign. */
const deviceOf = (major: number, minor: number): number =>
  ((major << 8) | (minor & 0xff) | ((minor & ~0xff) << 12)) >>> 0
