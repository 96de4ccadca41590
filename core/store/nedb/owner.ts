/** A collection whose memory runs ahead of its disk after a failed write. */
export interface Reloaded {
  /**
   * Brings memory back to what the disk holds.
   * @param mend also cuts off what the failed write left behind, so that the file takes writes again
   */
  reload(mend: boolean): Promise<void>
}

/** What a collection needs of the store it belongs to. */
export interface Owner {
  /** @throws StoreError once the store is closed */
  readable(): void
  /** @throws StoreError when nothing may be written */
  writable(): void
  failed(collection: Reloaded, error: Error): void
  /** A repair, for status and the log. */
  repaired(what: string): void
  /** Something for the log. */
  note(what: string): void
}
