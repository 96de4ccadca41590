import { type Findings, type Found, nothing } from './records.js'

const text = (value: unknown): string => (typeof value === 'string' ? value : '')
const texts = (value: unknown): string[] =>
  Array.isArray(value) ? value.map(text) : typeof value === 'string' && value !== '' ? [value] : []
const maybe = (value: unknown): string | undefined => (typeof value === 'string' ? value : undefined)

/**
 * Reads JSON: an array of registrations as `id export` writes them, or one document of the original registry, in
 * which users have a pubkey and machines a uid (docs/reference/protocols.md: registration, JSON REST).
 */
export function readJsonRecords(path: string, content: string): Findings {
  const found = nothing()
  let value: unknown
  try {
    value = JSON.parse(content)
  } catch {
    found.unread.push({ where: path, reason: 'it is not JSON' })
    return found
  }
  const items: unknown[] = Array.isArray(value) ? value : [value]
  for (const [index, item] of items.entries()) {
    const where = Array.isArray(value) ? `${path}: item ${index + 1}` : path
    if (typeof item !== 'object' || item === null) found.unread.push({ where, reason: 'it is not an object' })
    else take(item as Record<string, unknown>, where, found)
  }
  return found
}

function take(item: Record<string, unknown>, where: string, found: Findings): void {
  const { uid, nickname, pubkey, machine_sn: serial, machine_uuid: uuid } = item
  if (typeof pubkey === 'string') {
    const user: Found = {
      where,
      nickname: text(nickname),
      pubkey,
      serials: texts(item.serials ?? serial),
      uuids: texts(item.uuids ?? uuid),
      registeredAt: maybe(item.registeredAt),
      lastSeen: maybe(item.lastSeen),
      aliasOf: maybe(item.aliasOf),
    }
    found.users.push(user)
  } else if (typeof uid === 'string' && typeof serial === 'string') {
    found.machines.push({ where, uid, serial, uuid: text(uuid) })
  } else {
    found.unread.push({ where, reason: 'it has neither a pubkey nor a uid with a machine_sn' })
  }
}
