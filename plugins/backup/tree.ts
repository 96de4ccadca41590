/**
 * A path, or part of one, as a laptop wrote it: any bytes but NUL, one character a byte (latin1). Compared with `<`
 * it sorts as bytes do. For the file system: `Buffer.from(path, 'latin1')`.
 */
export type BytePath = string

interface Common {
  /** Relative to the tree's top, without a slash at either end; "" is the top itself. */
  readonly path: BytePath
  /** Permission bits, 0 to 0o7777. */
  readonly mode: number
  /** Whole seconds since 1970, and nanoseconds. */
  readonly seconds: number
  readonly nanos: number
}

export interface FileRow extends Common {
  readonly type: 'file'
  /** Bytes. */
  readonly size: number
  /** What is in it: the bytes themselves where they are few, else the sha256 under which the objects have them. */
  readonly content: Uint8Array | ObjectName
}

export interface DirectoryRow extends Common {
  readonly type: 'directory'
}

export interface LinkRow extends Common {
  readonly type: 'link'
  /** What it points to, without the mark that makes it harmless while it lies on the server. */
  readonly target: BytePath
}

/** sha256 of a content: 64 hex digits. */
export type ObjectName = string

export type Row = FileRow | DirectoryRow | LinkRow

/** A Journal as it was at a time: rows sorted by path, and the contents of its files. */
export interface Tree {
  /** Rows below a directory ("" is everything), sorted by path as bytes; a directory comes before what is in it. */
  rows(): Iterable<Row>
  /**
   * A file's content.
   * @param limit bytes; a larger file is refused
   * @throws SystemError DAMAGED when it is lost or not what was put in; REQUEST_TOO_LARGE
   */
  read(row: FileRow, limit: number): Buffer
  /** The same, in pieces; hashed on the way, so that damage is an error at the end and never passes for the file. */
  pieces(row: FileRow): AsyncIterable<Buffer>
}
