/** Hears of long work. */
export interface Progress {
  /** One more file, of so many bytes. @throws when the work is given up */
  step(bytes: number): void
}
