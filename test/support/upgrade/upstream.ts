import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { Test } from 'tap'

export interface Upstream {
  /** `http://127.0.0.1:PORT`. */
  readonly url: string
  /** Method and path of each request that came, in order. */
  readonly requests: string[]
  /** The same with its headers. */
  readonly heard: { request: string; headers: IncomingMessage['headers'] }[]
  readonly files: Map<string, File>
  /** How many requests had a path. */
  count(method: string, path: string): number
  close(): Promise<void>
}

export type Answering = (request: IncomingMessage, response: ServerResponse, times: number) => void

export interface File {
  readonly bytes: Buffer
  readonly headers?: Record<string, string>
  /** Answers a GET in place of the server. @param times GETs of this file so far, this one included */
  readonly get?: Answering
  readonly head?: Answering
}

/** A web server with files that can be made to behave badly. It understands Range and If-Range. */
export async function upstream(
  t: Pick<Test, 'teardown'>,
  files: Record<string, File> = {},
): Promise<Upstream> {
  const at = new Map(Object.entries(files))
  const heard: Upstream['heard'] = []
  const requests: string[] = []
  const times = new Map<string, number>()
  const server = createServer((request, response) => {
    const { method = '', url = '', headers } = request
    const line = `${method} ${url}`
    heard.push({ request: line, headers })
    requests.push(line)
    times.set(line, (times.get(line) ?? 0) + 1)
    response.on('error', () => undefined)
    const file = at.get(url)
    if (file === undefined) response.writeHead(404).end('no such file')
    else if (method === 'HEAD' && file.head !== undefined) file.head(request, response, times.get(line) ?? 0)
    else if (method === 'GET' && file.get !== undefined) file.get(request, response, times.get(line) ?? 0)
    else send(request, response, file)
  })
  const url = await listening(server)
  const close = async () => {
    server.closeAllConnections()
    server.close()
    await once(server, 'close')
  }
  t.teardown(() => (server.listening ? close() : undefined))
  return {
    url,
    requests,
    heard,
    files: at,
    close,
    count: (method, path) => requests.filter((one) => one === `${method} ${path}`).length,
  }
}

async function listening(server: Server): Promise<string> {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('no port')
  return `http://127.0.0.1:${address.port}`
}

export const tagOf = (bytes: Buffer): string =>
  `"${createHash('md5').update(bytes).digest('hex').slice(0, 12)}"`

/** Sends a file as a sound server does. */
export function send(
  request: IncomingMessage,
  response: ServerResponse,
  { bytes, headers = {} }: File,
): void {
  const etag = tagOf(bytes)
  const { range, 'if-range': only } = request.headers
  const start = Number(/^bytes=([0-9]+)-$/.exec(range ?? '')?.[1] ?? 0)
  const isPart = start > 0 && (only === undefined || only === etag)
  if (isPart && start >= bytes.length) {
    response.writeHead(416, { 'Content-Range': `bytes */${bytes.length}` }).end()
    return
  }
  const body = isPart ? bytes.subarray(start) : bytes
  response.writeHead(isPart ? 206 : 200, {
    ETag: etag,
    'Content-Length': body.length,
    ...(isPart && { 'Content-Range': `bytes ${start}-${bytes.length - 1}/${bytes.length}` }),
    ...headers,
  })
  response.end(request.method === 'HEAD' ? undefined : body)
}

/** Sends the beginning of what is asked for, and breaks the connection. */
export function sendPart(
  request: IncomingMessage,
  response: ServerResponse,
  { bytes }: File,
  most: number,
): void {
  const start = Number(/^bytes=([0-9]+)-$/.exec(request.headers.range ?? '')?.[1] ?? 0)
  const total = bytes.length
  response.writeHead(start > 0 ? 206 : 200, {
    ETag: tagOf(bytes),
    'Content-Length': total - start,
    ...(start > 0 && { 'Content-Range': `bytes ${start}-${total - 1}/${total}` }),
  })
  response.write(bytes.subarray(start, start + most), () => response.destroy())
}

export const sha256 = (bytes: Buffer | string): string => createHash('sha256').update(bytes).digest('hex')
export const md5 = (bytes: Buffer | string): string => createHash('md5').update(bytes).digest('hex')

/** A packed build as OLPC has it: tree, sum and manifest. */
export function packed(name: string, tree: Buffer, more: Partial<File> = {}): Record<string, File> {
  const at = `/${name}-tree.tar.bz2`
  return {
    [at]: { bytes: tree, ...more },
    [`${at}.md5`]: { bytes: Buffer.from(`${md5(tree)}  ${name}-tree.tar.bz2\n`) },
    [`/${name}.contents`]: { bytes: Buffer.from(`{"name":"${name}"}\n`) },
  }
}
