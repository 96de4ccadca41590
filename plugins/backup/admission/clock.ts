/** Time, as admission sees it; tests bring their own. */
export interface Clock {
  /** Milliseconds that only ever go forward: a school server's date jumps when it finds the network. */
  now(): number
  /** The date, milliseconds since 1970. */
  date(): number
  /** Does some work later. @returns takes it back */
  later(ms: number, work: () => void): () => void
}

export const systemClock: Clock = {
  now: () => performance.now(),
  date: () => Date.now(),
  later(ms, work) {
    const timer = setTimeout(work, ms)
    return () => clearTimeout(timer)
  },
}
