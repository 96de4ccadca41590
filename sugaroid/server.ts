import { isIPv6 } from 'node:net'
import { UsageError } from './errors.js'

/** Where a service listens. `host` is a name or an address, an IPv6 address without its brackets. */
export interface Server {
  readonly host: string
  readonly port: number
}

const form = /^(?:\[(?<bracketed>[^\]]*)\]|(?<plain>[\w.-]+))(?::(?<port>\d{1,5}))?$/

/** Reads `HOST`, `HOST:PORT`, `[IPV6]` or `[IPV6]:PORT`. Throws a UsageError for anything else. */
export function parseServer(text: string, defaultPort: number): Server {
  const { bracketed, plain, port } = form.exec(text)?.groups ?? {}
  const host = bracketed ?? plain
  const number = port === undefined ? defaultPort : Number(port)
  if (host === undefined || (bracketed !== undefined && !isIPv6(bracketed)) || number < 1 || number > 65535) {
    throw new UsageError(
      `'${text}' is not a server`,
      'write HOST or HOST:PORT without http://, an IPv6 address in brackets: [fd00::1]:8080',
    )
  }
  return { host, port: number }
}

/** The authority part of a URL, as `http.client` writes the Host header: port 80 goes without saying. */
export function authority({ host, port }: Server): string {
  const name = host.includes(':') ? `[${host}]` : host
  return port === 80 ? name : `${name}:${port}`
}
