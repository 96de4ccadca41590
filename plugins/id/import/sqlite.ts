import { RequestError } from '../../../core/api.js'
import { type Findings, nothing } from './records.js'

export const isSqlite = (bytes: Buffer): boolean =>
  bytes.subarray(0, 16).toString('latin1') === 'SQLite format 3\0'

/**
 * Reads the registrations of an OLPC XS: idmgr's database, table `laptops` with the columns serial, nickname,
 * pubkey (base64 alone) and uuid.
 */
export async function readIdmgr(path: string, bytes: Buffer): Promise<Findings> {
  const found = nothing()
  // Only who has such a database needs an engine for it.
  const { default: initSqlite } = await import('sql.js')
  const sqlite = await initSqlite()
  const database = new sqlite.Database(bytes)
  try {
    // Older ones have fewer columns.
    const statement = database.prepare('SELECT * FROM laptops ORDER BY rowid')
    while (statement.step()) {
      const { serial, nickname, pubkey, uuid, lastmodified } = statement.getAsObject()
      const where = `${path}: laptop ${String(serial)}`
      const seen = Date.parse(String(lastmodified ?? ''))
      found.users.push({
        where,
        nickname: String(nickname ?? ''),
        pubkey: String(pubkey ?? ''),
        serials: [String(serial ?? '')],
        uuids: typeof uuid === 'string' && uuid !== '' ? [uuid] : [],
        registeredAt: Number.isNaN(seen) ? undefined : new Date(seen).toISOString(),
      })
    }
    statement.free()
  } catch (error) {
    throw new RequestError('REQUEST_INVALID', `it is no database of an XS: ${(error as Error).message}`)
  } finally {
    database.close()
  }
  return found
}
