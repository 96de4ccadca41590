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

/** How long ago: `3 days`. */
export function age(iso: string, now: Date): string {
  const hours = (now.getTime() - Date.parse(iso)) / 3_600_000
  if (hours < 1) return 'under an hour'
  return hours < 48 ? `${Math.floor(hours)} hours` : `${Math.floor(hours / 24)} days`
}

/** Says which snapshots a search could not look through. */
export function tellUnread(unread: readonly string[], note: (line: string) => void): void {
  for (const id of unread)
    note(`snapshot ${id} is damaged and was not searched whole: "backup verify" says what is lost`)
}
