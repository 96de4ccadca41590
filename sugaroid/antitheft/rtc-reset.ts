import { checkLines, type SignedFile } from './lines.js'
import { readSignatureLine } from './link.js'
import type { LockedLaptop } from './locked-laptop.js'
import { type Moment, never } from './moment.js'
import { checkSignature } from './signature.js'
import { invalid, type Rejected, type Valid } from './verdict.js'

/** What a laptop says when it asks for a new time. */
export interface RtcRequest {
  /** What its clock says. */
  readonly clock: Moment
  /** 10 digits, so that an old answer is of no use. */
  readonly nonce: string
}

/** The laptop takes it, and sets its clock. */
export interface ValidReset extends Valid {
  readonly time: Moment
}

const form = /^(\d{8}T\d{6}Z) (\d{10}) (\d{8}T\d{6}Z) (.+)$/

function checkRest(rest: string, laptop: LockedLaptop, asked: RtcRequest | undefined): ValidReset | Rejected {
  const [, clock = '', nonce = '', time = '', signatures = ''] = form.exec(rest) ?? []
  const line = readSignatureLine(signatures)
  if (!line) {
    return invalid('it is not written as rtc01: SN CURRENTRTC NONCE NEWRTC and a sig01 or sig02')
  }
  if (asked && asked.clock !== clock) return invalid(`it is for a clock at ${clock}, not at ${asked.clock}`)
  if (asked && asked.nonce !== nonce) return invalid(`its nonce is ${nonce}, not ${asked.nonce}`)
  const last = line.links.at(-1)?.expiry ?? never
  if (last !== never) return invalid(`its last link says ${last} where a laptop expects ${never}`)
  const payload = `${laptop.serial}:${laptop.uuid}:${clock}:${nonce}:${time}`
  const verdict = checkSignature(line, Buffer.from(payload), laptop)
  return verdict.verdict === 'valid' ? { ...verdict, time } : verdict
}

/**
 * What a laptop makes of an answer to its request for a new time, the keys being those of leases.
 * Facts: docs/reference/protocols.md: Anti-theft, Lines.
 * @param asked what it must be the answer to; without it any request will do
 */
export function checkRtcReset(
  file: SignedFile,
  laptop: LockedLaptop,
  asked?: RtcRequest,
): ValidReset | Rejected {
  return checkLines(file, 'rtc01:', laptop, (rest) => checkRest(rest, laptop, asked))
}
