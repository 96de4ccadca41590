import { BrokenReply } from './errors.js'
import { exchange, type Patience, type Request, within } from './http.js'
import type { Identity } from './identity.js'
import {
  type Broken,
  broken,
  type Call,
  failure,
  type Refused,
  type Registration,
  readRegistration,
  shown,
  type Unreachable,
} from './registration.js'
import { ProtocolError, type Struct } from './xmlrpc.js'

/** What the server knows of a learner. */
export interface Answered {
  readonly outcome: 'answered'
  readonly registered: boolean
  /** All the server said; with `jabber-url`, `backup-url` and `stamp` when registered. */
  readonly reply: Struct
}

export type Status = Answered | Refused | Unreachable | Broken

function parse(body: Buffer): Struct {
  let value: unknown
  try {
    value = JSON.parse(body.toString())
  } catch (cause) {
    throw new BrokenReply('the reply is no JSON', { cause })
  }
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Struct
  throw new BrokenReply('the reply is no JSON object')
}

/** A failure may come with any status, so the body decides where it speaks the protocol. */
async function ask(request: Request, patience: Patience): Promise<Struct> {
  const { status, body } = await within(patience, (signal) => exchange(request, signal))
  if (status === 200) return parse(body)
  try {
    const reply = parse(body)
    if (reply.success === 'ERR') return reply
  } catch (error) {
    if (!(error instanceof BrokenReply)) throw error
  }
  throw new ProtocolError(status)
}

/** Registers over the JSON interface, which wants the key as in `owner.key.pub`, its type in front. */
export async function registerByRest(who: Identity, { server, ...patience }: Call): Promise<Registration> {
  const { nickname, serial, uuid, keyName, pubkey } = who
  const body = { nickname, machine_sn: serial, machine_uuid: uuid, pubkey: `${keyName} ${pubkey}` }
  const request: Request = {
    server,
    method: 'POST',
    path: '/client/register',
    headers: { Accept: 'application/json', 'Content-Type': 'application/json' },
    body: Buffer.from(JSON.stringify(body)),
  }
  try {
    return readRegistration(await ask(request, patience))
  } catch (error) {
    return failure(error, patience.signal)
  }
}

/** Asks whether the server knows a learner, by the uid. Rejects as `register` does. */
export async function statusOf(uid: string, { server, ...patience }: Call): Promise<Status> {
  const request: Request = {
    server,
    method: 'GET',
    path: `/client/status?uid=${encodeURIComponent(uid)}`,
    headers: { Accept: 'application/json' },
  }
  try {
    const reply = await ask(request, patience)
    const { success, registered, error } = reply
    if (success !== 'OK') return { outcome: 'refused', message: shown.refused, error: String(error) }
    if (typeof registered === 'boolean') return { outcome: 'answered', registered, reply }
    return broken("the reply's 'registered' is no boolean")
  } catch (error) {
    return failure(error, patience.signal)
  }
}
