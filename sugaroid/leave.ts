import { BrokenReply } from './errors.js'
import { exchange, within } from './http.js'
import type { Server } from './server.js'

/** How a server took a farewell. */
export type Leave =
  | { readonly outcome: 'left' }
  /** It knows no farewells: an operator must remove the registration. */
  | { readonly outcome: 'unknown' }
  | { readonly outcome: 'refused'; readonly error: string }

/** Milliseconds for the server to take everything away. */
const patience = 120_000

/**
 * Takes the learner of a demonstration away from the server, with its backups. The server does that only for one who
 * has never had another serial than one of `demoSerial()`. Throws what `exchange` throws.
 * @param server its httpd-port
 */
export async function leaveServer(server: Server, uid: string, uuid: string): Promise<Leave> {
  const { status, body } = await within({ timeout: patience }, (signal) =>
    exchange(
      {
        server,
        method: 'POST',
        path: '/client/leave',
        headers: { Accept: 'application/json', 'Content-Type': 'application/json' },
        body: Buffer.from(JSON.stringify({ uid, machine_uuid: uuid })),
      },
      signal,
    ),
  )
  if (status === 404 || status === 405) return { outcome: 'unknown' }
  const { success, error } = parse(body)
  return status === 200 && success === 'OK'
    ? { outcome: 'left' }
    : { outcome: 'refused', error: String(error) }
}

function parse(body: Buffer): { success?: unknown; error?: unknown } {
  try {
    const value: unknown = JSON.parse(body.toString())
    if (typeof value === 'object' && value !== null) return value
  } catch {
    // Told below.
  }
  throw new BrokenReply('the reply is no JSON object')
}
