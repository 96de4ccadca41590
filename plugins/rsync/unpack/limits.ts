/** What a packed tree may be. Beyond it is nobody's operating system, but somebody's way to fill the disk. */
export interface Limits {
  /** Bytes of the disk that the tree may take. */
  readonly bytes: number
  readonly entries: number
  /** Bytes of all paths together: they are held in memory until the tree is unpacked. */
  readonly names: number
  readonly devices: number
}

/** @param bytes of the disk that a tree may take */
export const limitsOf = (bytes: number): Limits => ({
  bytes,
  entries: 500_000,
  names: 64 * 1024 * 1024,
  devices: 10_000,
})

/** Bytes of a tar up to which it may be packed as tightly as it will. */
export const freelyPacked = 64 * 1024 * 1024
/** How many times larger than what it is packed in a larger tar may be. */
export const mostRatio = 200
/** What a tar may have besides its contents: headers, and what fills its last record. */
export const tarOverhead = 1024 * 1024 * 1024

/** Bytes of a path, so that a laptop has room before it for the place where it puts the tree. */
export const longestPath = 3500
export const longestName = 255
export const deepest = 256
/** Bytes of a symbolic link's target on any Linux. */
export const longestTarget = 4095
/** Bytes of an extended header: a path, a target, and attributes that we pass over. */
export const largestExtension = 1024 * 1024
/** User and group ids on any Linux; the last one means "none". */
export const largestId = 2 ** 32 - 2
/** Seconds on either side of 1970: 34,000 years. */
export const longestTime = 2 ** 40

/** Bytes in which disks give out their room. */
const block = 4096

/** What a content takes of a disk. */
export const onDisk = (bytes: number): number => Math.ceil(bytes / block) * block
