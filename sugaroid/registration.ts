import { BrokenReply } from './errors.js'
import type { Patience } from './http.js'
import type { Registrant } from './identity.js'
import type { Server } from './server.js'
import { call, isStruct, type Struct, type Value } from './xmlrpc.js'

/** What Sugar shows the child, word for word. */
export const shown = {
  registered: 'You are now registered with your school server.',
  refused: 'The server could not complete the request.',
  unreachable: 'Cannot connect to the server.',
} as const

/** The server took the registration. */
export interface Registered {
  readonly outcome: 'registered'
  readonly message: string
  /** Decides where the next registration goes; may be empty. */
  readonly jabberserver: string
  /** `user@host:path`; may be empty. */
  readonly backupurl: string
  /** All the server said. */
  readonly reply: Struct
}

/** The server answered with an error; Sugar logs its text and shows only `message`. */
export interface Refused {
  readonly outcome: 'refused'
  readonly message: string
  readonly error: string
}

/** No answer, or one Sugar takes for none: a fault, a status other than 200, XML that is no XML-RPC. */
export interface Unreachable {
  readonly outcome: 'unreachable'
  readonly message: string
  readonly cause: Error
}

/** The answer makes Sugar die of an uncaught error: the child sees neither success nor failure. */
export interface Broken {
  readonly outcome: 'broken'
  readonly message: null
  readonly cause: Error
  /** Sugar keeps this one before it looks at `backupurl`, so the next registration goes there. */
  readonly jabberserver?: string
}

export type Registration = Registered | Refused | Unreachable | Broken

export interface Call extends Patience {
  readonly server: Server
}

export function broken(why: string | Error): Broken {
  return { outcome: 'broken', message: null, cause: typeof why === 'string' ? new BrokenReply(why) : why }
}

/**
 * The outcome a failed conversation stands for. A caller's own abort is none: it is thrown again, and so is
 * a TypeError, which means that the request could not be written.
 */
export function failure(error: unknown, signal: AbortSignal | undefined): Unreachable | Broken {
  if (signal?.aborted || error instanceof TypeError || !(error instanceof Error)) throw error
  if (error instanceof BrokenReply) return broken(error)
  return { outcome: 'unreachable', message: shown.unreachable, cause: error }
}

function kind(value: Value | undefined): string {
  if (value === undefined) return 'missing'
  return typeof value === 'object' ? 'not a string' : `not a string but a ${typeof value}`
}

/** Reads a reply as Sugar does: in its order, with its blind spots. Keys it does not know do no harm. */
export function readRegistration(reply: Value): Registered | Refused | Broken {
  if (!isStruct(reply)) return broken('the reply is no struct')
  const { success, error, jabberserver, backupurl } = reply
  if (success === undefined) return broken("the reply's 'success' is missing")
  if (success !== 'OK') {
    if (error === undefined) return broken("the reply is a failure, but its 'error' is missing")
    const text = typeof error === 'string' ? error : JSON.stringify(error)
    return { outcome: 'refused', message: shown.refused, error: text }
  }
  if (typeof jabberserver !== 'string') return broken(`the reply's 'jabberserver' is ${kind(jabberserver)}`)
  if (typeof backupurl !== 'string') {
    return { ...broken(`the reply's 'backupurl' is ${kind(backupurl)}`), jabberserver }
  }
  return { outcome: 'registered', message: shown.registered, jabberserver, backupurl, reply }
}

/**
 * Registers over XML-RPC and tells what Sugar would make of the answer. Rejects only with the reason of the
 * caller's signal, and with a TypeError for strings that cannot be sent.
 */
export async function register(who: Registrant, { server, ...patience }: Call): Promise<Registration> {
  const { serial, nickname, uuid, pubkey } = who
  try {
    return readRegistration(await call(server, 'register', [serial, nickname, uuid, pubkey], patience))
  } catch (error) {
    return failure(error, patience.signal)
  }
}
