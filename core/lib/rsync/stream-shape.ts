import { newestProtocol } from './stream-head.js'
import type { RsyncVersion } from './version.js'

/** What the options of a server's rsync say of the stream that its client sends. */
export interface StreamOptions {
  /** What the client can do, as it stands after the letter e: `.iLsfxCIvu`; before a release, its version first. */
  readonly client: string
  /** The letters z and the words `--compress`, counted. */
  readonly compress: number
  /** Of `--compress-choice`, `--new-compress` (zlibx) and `--old-compress` (zlib), whichever is last. */
  readonly compressChoice?: string | undefined
  readonly hasCompressLevel: boolean
  readonly checksumChoice?: string | undefined
}

const automatic = /^auto(,auto)?$/i

/**
 * How many lists of algorithms a client sends: rsync 3.2 and newer agree on the checksum and on the compression where
 * options leave that open.
 */
export function choicesOf(options: StreamOptions, { version: [major, minor] }: RsyncVersion): number {
  const agrees = (major > 3 || (major === 3 && minor >= 2)) && options.client.includes('v')
  if (!agrees) return 0
  const { checksumChoice: checksum } = options
  const forChecksum = checksum === undefined || automatic.test(checksum) ? 1 : 0
  return forChecksum + (agreesOnCompression(options) ? 1 : 0)
}

function agreesOnCompression({ compress, compressChoice, hasCompressLevel }: StreamOptions): boolean {
  const given = compressChoice ?? (compress > 1 ? 'zlibx' : 'auto')
  const choice = given.toLowerCase()
  if (choice === 'none') return hasCompressLevel
  return choice === 'auto' && (compress > 0 || hasCompressLevel)
}

/**
 * The protocol that an rsync offers to a client. One from before a release is answered with the protocol before.
 * @param ours the newest protocol of the rsync on this machine
 * @param client `31.14` of a client from before a release; anything else of all others
 */
export function protocolFor(ours: number, client: string): number {
  const known = Math.min(ours, newestProtocol)
  const [, theirs, sub] = /^(\d+)\.(\d+)/.exec(client) ?? []
  if (theirs === undefined || Number(theirs) === 0 || Number(sub) === 0) return known
  if (Number(theirs) < known) return Number(theirs) - 1
  return Number(theirs) === known ? known - 1 : known
}
