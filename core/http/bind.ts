import { SystemError, systemCode } from '../errors.js'

/** A server that can be bound: node's, and ssh2's, which only wraps one. */
export interface Bindable {
  listen(options: { host?: string; port: number; backlog: number }, listening: () => void): unknown
  close(closed?: (error?: Error) => void): unknown
  address(): { address: string; port: number } | string | null
  once(event: 'error', listener: (error: Error) => void): unknown
  off(event: 'error', listener: (error: Error) => void): unknown
}

const backlog = 1024

/**
 * Binds a server.
 * @param host undefined: every address of this machine, by IPv6 and IPv4 alike; by IPv4 where there is no IPv6
 * @param setting the option that holds the port, and where it was set, for errors
 * @throws SystemError PORT_BUSY, PORT_REFUSED
 */
export async function bind(
  server: Bindable,
  host: string | undefined,
  port: number,
  setting: string,
): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    const fail = (error: Error) => reject(explain(error, `${setting}: port ${port} on ${host ?? '::'}`))
    server.once('error', fail)
    // Not told a host, Node binds `::`, and what it finds missing then is `0.0.0.0`.
    server.listen({ ...(host !== undefined && { host }), port, backlog }, () => {
      server.off('error', fail)
      resolve()
    })
  })
}

/** The port that a server got, where 0 was asked for. */
export function portOf(server: Bindable, asked: number): number {
  const address = server.address()
  return typeof address === 'object' && address !== null ? address.port : asked
}

/** The address that a server listens on, where no host was asked for. */
export function hostOf(server: Bindable): string {
  const address = server.address()
  return typeof address === 'object' && address !== null ? address.address : '::'
}

function explain(cause: Error, where: string): SystemError {
  const code = systemCode(cause)
  if (code === 'EADDRINUSE') {
    const hint = 'stop the other program, or choose another port'
    return new SystemError('PORT_BUSY', `${where} is in use by another program`, { hint, cause })
  }
  if (code === 'EACCES') {
    const hint = 'choose a port from 1024 on, or give the service CAP_NET_BIND_SERVICE'
    return new SystemError('PORT_REFUSED', `${where} is not for this user`, { hint, cause })
  }
  const hint = 'check the address in the option host'
  return new SystemError('PORT_REFUSED', `${where} cannot be used (${code})`, { hint, cause })
}
