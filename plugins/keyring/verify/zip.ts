import type { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { type Entry, fromFdPromise, type ZipFile } from 'yauzl'

/** A zip as laptops take it. */
export interface ImageZip {
  /** What is in `data.sig`. */
  readonly signatures: string
  /** Bytes of `data.img`. */
  image(): Promise<Readable>
}

/** Files in a zip; those of laptops hold two or three. */
const mostEntries = 64
/** Bytes of `data.sig`. */
const largestSignatures = 64 << 10
/** The flag of an entry whose sizes stand behind its bytes, where a laptop, reading from the front, misses them. */
const sizesBehind = 1 << 3
const stored = 0

/**
 * Reads a zip of `data.sig` and `data.img`. A laptop goes from one local header to the next and takes bytes as they
 * are stored; a zip whose central directory says anything else is refused, or what is checked here would not be what
 * is booted there.
 * @throws Error whose message is a clause about the zip
 */
export async function readImageZip(fd: number): Promise<ImageZip> {
  const zip = await fromFdPromise(fd, { autoClose: false, strictFileNames: true })
  if (zip.entryCount > mostEntries)
    throw new Error(`holds ${zip.entryCount} files, where a laptop's has two or three`)
  const entries: Entry[] = []
  for await (const entry of zip.eachEntry()) entries.push(entry)
  await mustBeInOrder(zip, entries)
  const signatures = entryOf(entries, 'data.sig')
  const image = entryOf(entries, 'data.img')
  if (signatures.uncompressedSize > largestSignatures)
    throw new Error(`holds a data.sig of more than ${largestSignatures} bytes`)
  return {
    signatures: (await buffer(await zip.openReadStreamPromise(signatures))).toString('latin1'),
    image: () => zip.openReadStreamPromise(image),
  }
}

function entryOf(entries: readonly Entry[], name: string): Entry {
  const [entry, again] = entries.filter(({ fileNameRaw }) => fileNameRaw.toString('latin1') === name)
  if (entry === undefined) throw new Error(`holds no ${name}`)
  if (again !== undefined) throw new Error(`holds ${name} twice`)
  if (entry.compressionMethod !== stored || entry.isEncrypted())
    throw new Error(`holds ${name} packed, where a laptop takes only what is stored as it is`)
  return entry
}

/** Makes sure that the local headers follow one another from the start, and say what the central directory says. */
async function mustBeInOrder(zip: ZipFile, entries: readonly Entry[]): Promise<void> {
  let at = 0
  for (const entry of entries.toSorted(
    (a, b) => a.relativeOffsetOfLocalHeader - b.relativeOffsetOfLocalHeader,
  )) {
    const header = await zip.readLocalFileHeaderPromise(entry)
    if ((header.generalPurposeBitFlag & sizesBehind) !== 0)
      throw new Error('has the size of a file behind it, where a laptop does not look for it')
    const agrees =
      entry.relativeOffsetOfLocalHeader === at &&
      header.fileName.equals(entry.fileNameRaw) &&
      header.compressionMethod === entry.compressionMethod &&
      header.compressedSize === entry.compressedSize
    if (!agrees) throw new Error('says one thing of its files at its end and another in front of them')
    at = header.fileDataStart + header.compressedSize
  }
}
