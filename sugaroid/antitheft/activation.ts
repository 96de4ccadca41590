import { connect } from 'node:net'
import { BrokenReply } from '../errors.js'
import { within } from '../http.js'
import { type Call, failure } from '../registration.js'
import { readAnswer } from './answer.js'
import type { RtcRequest } from './rtc-reset.js'

/** Where the laptop looks for its server before it has started. */
export const activationPort = 191

/** What came back when a laptop asked at boot, before anything of it is checked. */
export type LeaseAnswer =
  /** Leases, or what the server sends in their place: ASCII, as it came. */
  | { readonly outcome: 'answered'; readonly text: string }
  | { readonly outcome: 'stolen' }
  /** Nothing: the server does not know the laptop. */
  | { readonly outcome: 'unknown' }
  | { readonly outcome: 'unreachable' | 'broken'; readonly cause: Error }

function readLeaseAnswer(bytes: Buffer): LeaseAnswer {
  if (bytes.length === 0) return { outcome: 'unknown' }
  const text = bytes.toString('latin1')
  if (text === 'STOLEN') return { outcome: 'stolen' }
  const foreign = bytes.findIndex((byte) => byte > 0x7f)
  if (foreign === -1) return { outcome: 'answered', text }
  return { outcome: 'broken', cause: new BrokenReply(`byte ${foreign} of the answer is no ASCII`) }
}

async function ask(question: string, { server, ...patience }: Call): Promise<LeaseAnswer> {
  try {
    return await within(patience, async (signal) => {
      const socket = connect({ ...server, signal })
      socket.end(question, 'latin1')
      return readLeaseAnswer(await readAnswer(socket))
    })
  } catch (error) {
    const { outcome, cause } = failure(error, patience.signal)
    return { outcome, cause }
  }
}

/**
 * Asks for a lease as the client in the initramfs does: sends the serial without a newline, closes its half of the
 * connection and reads to the end. That client waits for ever; here the patience ends. Rejects only with the reason
 * of the caller's signal. Facts: docs/reference/protocols.md: Anti-theft, Over TCP.
 */
export const askForLease = (serial: string, call: Call): Promise<LeaseAnswer> => ask(serial, call)

/** Asks for a new time in the same way, as a laptop does whose clock has lost it. */
export function askForRtcReset(
  serial: string,
  { clock, nonce }: RtcRequest,
  call: Call,
): Promise<LeaseAnswer> {
  return ask(`rtcreset ${serial} ${clock} ${nonce}`, call)
}
