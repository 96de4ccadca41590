import { mkdtempSync, rmSync } from 'node:fs'
import type { Server } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pino } from 'pino'
import t, { type Test } from 'tap'
import { type Limits, openSsh2, type Ssh2Transport } from '../../../plugins/backup/transport/ssh2/server.js'
import { needs } from '../needs.js'
import { plainSessions } from './plain-sessions.js'
import type { Laptop } from './ssh-laptop.js'

const keys = mkdtempSync(join(tmpdir(), 'sugar-hostkeys-'))
t.teardown(() => rmSync(keys, { recursive: true, force: true }))

export const tools = (t: Test): boolean =>
  needs(t, 'rsync', 'rsync') && needs(t, 'ssh', 'openssh-client') && needs(t, 'ssh-keygen', 'openssh-client')

/** A server that knows these laptops. */
export async function serving(t: Test, laptops: Laptop[], limits: Partial<Limits> = {}) {
  const sessions = plainSessions(t)
  const known = new Map(laptops.map(({ blob, uid }) => [blob, { uid, nickname: 'Ana' }]))
  const transport: Ssh2Transport = await openSsh2({
    keys,
    sessions,
    byKey: async (blob) => known.get(blob),
    log: pino({ enabled: false }),
    limits,
  })
  await new Promise<void>((resolve) =>
    transport.server.listen({ host: '127.0.0.1', port: 0, backlog: 512 }, resolve),
  )
  t.teardown(() => transport.close())
  const { port } = (transport.server as Server).address() as { port: number }
  for (const laptop of laptops) laptop.port = port
  return { sessions, transport, port }
}
