import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { Agent, request } from 'node:http'
import { createInterface } from 'node:readline'
import type { Test } from 'tap'
import type { TestHouse } from '../../../core/testing.js'
import { methodCall, parseReply, type Struct } from '../../../sugaroid/index.js'
import { blobOf, field } from '../ssh-keys.js'

export { blobOf, field }

export const sha1 = (text: string): string => createHash('sha1').update(text).digest('hex')

/** What a laptop says of itself. */
export interface Laptop {
  serial: string
  nickname: string
  uuid: string
  pubkey: string
}

/** The same laptop for the same number, in every run: ed25519 takes any 32 bytes for a key. */
export function laptop(number: number, more: Partial<Laptop> = {}): Laptop {
  const hex = number.toString(16).padStart(8, '0')
  return {
    serial: `SHC${hex.toUpperCase()}`,
    nickname: `Learner ${number}`,
    uuid: `${hex}-89ab-4def-8123-456789abcdef`,
    pubkey: blobOf('ssh-ed25519', createHash('sha256').update(`laptop ${number}`).digest()),
    ...more,
  }
}

export const uidOf = ({ pubkey }: Pick<Laptop, 'pubkey'>): string => sha1(pubkey)

export interface Answer {
  status: number
  type: string
  body: string
}

const agent = new Agent({ keepAlive: true, maxSockets: 64 })

export interface Posting {
  headers?: Record<string, string>
  /** Another address of this machine, 127.0.0.2 and on, to come from. */
  from?: string
  method?: string
}

/** Sends a request over connections that stay open. */
export function post(
  url: string,
  body: string | Buffer,
  { headers = {}, from, method = 'POST' }: Posting = {},
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const options = { method, agent, headers: { 'Content-Length': Buffer.byteLength(body), ...headers } }
    const sending = request(url, from === undefined ? options : { ...options, localAddress: from })
    sending.on('error', reject)
    sending.on('response', (response) => {
      const chunks: Buffer[] = []
      response.on('data', (chunk: Buffer) => chunks.push(chunk))
      response.on('error', reject)
      response.on('end', () => {
        const { statusCode: status = 0, headers: heads } = response
        resolve({ status, type: heads['content-type'] ?? '', body: Buffer.concat(chunks).toString() })
      })
    })
    sending.end(body)
  })
}

/** Closes the connections that post() keeps open. */
export const hangUp = (): void => agent.destroy()

/** Registers as Sugar does. @param url of the listener `id` */
export async function register(
  url: string,
  { serial, nickname, uuid, pubkey }: Laptop,
  how?: Posting,
): Promise<Struct> {
  const call = methodCall('register', [serial, nickname, uuid, pubkey])
  const { status, body } = await post(`${url}/`, call, how)
  if (status !== 200) throw new Error(`${status}: ${body}`)
  return parseReply(Buffer.from(body)) as Struct
}

export interface Listed {
  uid: string
  nickname: string
  serials: string[]
  uuids: string[]
  keyType: string
  registeredAt: string
  lastSeen: string
  flags: string[]
}

/** Everyone who registered, by uid. */
export async function listed(house: Pick<TestHouse, 'command'>): Promise<Map<string, Listed>> {
  const { out } = await house.command(['id', 'list'], { json: true })
  return new Map((JSON.parse(out) as Listed[]).map((one) => [one.uid, one]))
}

/** What came back from a call of Python's xmlrpc.client: a reply, a fault, or an exception's name. */
export interface Heard {
  reply?: Record<string, unknown>
  fault?: [code: number, text: string]
  broken?: string
}

const pythonClient = `
import json, sys, xmlrpc.client
for line in sys.stdin:
    url, method, args = json.loads(line)
    try:
        heard = {'reply': getattr(xmlrpc.client.ServerProxy(url), method)(*args)}
    except xmlrpc.client.Fault as fault:
        heard = {'fault': [fault.faultCode, fault.faultString]}
    except Exception as error:
        heard = {'broken': type(error).__name__ + ' ' + str(error)}
    print(json.dumps(heard), flush=True)
`

/** Python's own XML-RPC client, in one process that ends with the test. */
export async function pythonClientOf(
  t: Test,
): Promise<(url: string, method: string, args: readonly unknown[]) => Promise<Heard>> {
  const child = spawn('python3', ['-c', pythonClient], { stdio: ['pipe', 'pipe', 'inherit'] })
  t.teardown(async () => {
    child.stdin.end()
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
  })
  const lines = createInterface(child.stdout)[Symbol.asyncIterator]()
  return async (url, method, args) => {
    child.stdin.write(`${JSON.stringify([url, method, args])}\n`)
    const { value, done } = await lines.next()
    if (done === true) throw new Error('python3 ended')
    return JSON.parse(value)
  }
}
