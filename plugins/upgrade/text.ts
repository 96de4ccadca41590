/** Bytes for people: `1.2 MB`. */
export function amount(bytes: number): string {
  let value = bytes
  for (const unit of ['B', 'kB', 'MB', 'GB']) {
    if (value < 1000) return `${unit === 'B' ? value : value.toFixed(1)} ${unit}`
    value /= 1000
  }
  return `${value.toFixed(1)} TB`
}

/** An ISO time for people: `2026-11-20 10:11`, UTC. */
export const time = (iso: string): string => iso.slice(0, 16).replace('T', ' ')
