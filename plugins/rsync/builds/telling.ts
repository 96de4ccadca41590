/** Milliseconds between two lines. */
const pause = 2000

/** @returns to be told how many bytes are done; has a line noted about it every two seconds */
export function telling(what: string, note: (line: string) => void): (done: number, size: number) => void {
  let last = performance.now()
  return (done, size) => {
    const now = performance.now()
    if (now - last < pause) return
    last = now
    note(`${what}: ${megabytes(done)} of ${megabytes(size)} MB`)
  }
}

const megabytes = (bytes: number): string => (bytes / 1e6).toFixed(bytes < 10e6 ? 1 : 0)
