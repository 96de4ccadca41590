/** The lines of anti-theft. Source: docs/reference/protocols.md: Anti-theft, Lines. */
import { isUuid, parseSerial } from './laptop.js'
import { earliest, isExpiry, type Moment, never } from './moment.js'
import { formatSignature, parseSignature, type Signature } from './signature.js'

/** `act01:`, the right to boot until a time. */
export interface Lease {
  readonly kind: 'lease'
  readonly serial: string
  readonly expiry: Moment
  readonly signature: Signature
}

/** `dev01:`, the right to boot whatever one likes, for ever. */
export interface DeveloperKey {
  readonly kind: 'developer'
  readonly serial: string
  readonly signature: Signature
}

/** `rtc01:`, the right to set the clock. */
export interface RtcReset {
  readonly kind: 'rtcreset'
  readonly serial: string
  /** What the laptop's clock says now. */
  readonly current: Moment
  /** 10 digits. */
  readonly nonce: string
  readonly next: Moment
  readonly signature: Signature
}

/** `del01:`, the right of a school server to sign for a laptop. Holds the uuid: a secret. */
export interface Delegation {
  readonly kind: 'delegation'
  readonly serial: string
  readonly uuid: string
  readonly signature: Signature
}

export type Line = Lease | DeveloperKey | RtcReset | Delegation

/** Bytes of the longest line that laptops read: they have room for 8192, of which one is for its end. */
export const longestLine = 8191

/**
 * Reads one line, without its line end.
 * @throws Error that says what is wrong with it; its message holds no uuid
 */
export function parseLine(line: string): Line {
  if (line.length > longestLine) throw new Error(`is longer than ${longestLine} bytes`)
  switch (line.slice(0, 7)) {
    case 'act01: ':
      return parseLease(line)
    case 'dev01: ':
      return parseDeveloperKey(line)
    case 'rtc01: ':
      return parseRtcReset(line)
    case 'del01: ':
      return parseDelegation(line)
    default:
      throw new Error(line === '' ? 'is blank' : 'begins with none of act01:, dev01:, rtc01: and del01:')
  }
}

/** @throws Error that says what is wrong with it */
export function parseLease(line: string): Lease {
  if (line.length > longestLine) throw new Error(`is longer than ${longestLine} bytes`)
  const [, serial = '', expiry = '', rest = ''] = /^act01: (\S{1,32}) K (\S{16}) (.*)$/.exec(line) ?? []
  if (rest === '') throw new Error('is no "act01: SERIAL K EXPIRY signature"')
  return { kind: 'lease', serial: own(serial), expiry: time(expiry), signature: parseSignature(rest) }
}

function parseDeveloperKey(line: string): DeveloperKey {
  const [, serial = '', rest = ''] = /^dev01: (\S{1,32}) A 00000000T000000Z (.*)$/.exec(line) ?? []
  if (rest === '') throw new Error(`is no "dev01: SERIAL A ${never} signature"`)
  return { kind: 'developer', serial: own(serial), signature: parseSignature(rest) }
}

function parseRtcReset(line: string): RtcReset {
  const [, serial = '', current = '', nonce = '', next = '', rest = ''] =
    /^rtc01: (\S{1,32}) (\S{16}) (\d{10}) (\S{16}) (.*)$/.exec(line) ?? []
  if (rest === '') throw new Error('is no "rtc01: SERIAL CURRENT NONCE NEW signature"')
  const signature = parseSignature(rest)
  return { kind: 'rtcreset', serial: own(serial), current: time(current), nonce, next: time(next), signature }
}

/** One or two blanks behind `del01:`: the tools wrote both. */
function parseDelegation(line: string): Delegation {
  const [, serial = '', uuid = '', rest = ''] = /^del01: {1,2}(\S{1,32}) (\S{36}) (.*)$/.exec(line) ?? []
  if (rest === '') throw new Error('is no "del01: SERIAL UUID sig02"')
  if (!isUuid(uuid)) throw new Error('has no uuid behind its serial')
  const signature = parseSignature(rest)
  if (signature.version !== 2) throw new Error('has no sig02, which alone can delegate')
  return { kind: 'delegation', serial: own(serial), uuid, signature }
}

function own(text: string): string {
  const serial = parseSerial(text)
  if (serial === undefined || serial !== text)
    throw new Error('has no serial of three capitals and eight hex digits in capitals')
  return serial
}

function time(text: string): Moment {
  if (!isExpiry(text)) throw new Error(`has "${text}" where a time YYYYMMDDThhmmssZ should be`)
  return text
}

/** A line as text, without its line end. */
export function formatLine(line: Line): string {
  const signature = formatSignature(line.signature)
  switch (line.kind) {
    case 'lease':
      return `act01: ${line.serial} K ${line.expiry} ${signature}`
    case 'developer':
      return `dev01: ${line.serial} A ${never} ${signature}`
    case 'rtcreset':
      return `rtc01: ${line.serial} ${line.current} ${line.nonce} ${line.next} ${signature}`
    case 'delegation':
      return `del01: ${line.serial} ${line.uuid} ${signature}`
  }
}

/** Until when a lease lets a laptop boot: its own expiry or that of a link, whichever comes first. */
export function effectiveExpiry({ expiry, signature }: Lease): Moment {
  const links = signature.version === 2 ? signature.links.map((link) => link.expiry) : []
  return earliest([expiry, ...links])
}
