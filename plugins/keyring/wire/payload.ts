/** What is signed for each record, to the byte. Source: docs/reference/protocols.md: Anti-theft, What is signed. */
import type { PublicKey } from './key.js'
import { type Moment, never } from './moment.js'

export const leasePayload = (serial: string, uuid: string, expiry: Moment): string =>
  `${serial}:${uuid}:K:${expiry}`

export const developerPayload = (serial: string, uuid: string): string => `${serial}:${uuid}:A:${never}`

export const rtcPayload = (
  serial: string,
  uuid: string,
  { current, nonce, next }: { current: Moment; nonce: string; next: Moment },
): string => `${serial}:${uuid}:${current}:${nonce}:${next}`

/** A link that hands over to the next key; the line end of `key01` is signed too. */
export const delegationPayload = (serial: string, expiry: Moment, next: PublicKey): string =>
  `${serial}:${expiry}:${next.key01}`

/** The last link of a sig02, around what a sig01 would sign. */
export const linkPayload = (serial: string, expiry: Moment, inner: string): string =>
  `${serial}:${expiry}:${inner}`
