import {
  parseServer,
  type Registrant,
  type Registration,
  register,
  type Server,
} from '../../../sugaroid/index.js'
import { madeUpKey } from '../ssh-keys.js'

let made = 0

/** A laptop that never registered before. */
export function newLaptop(nickname?: string): Registrant {
  made += 1
  const hex = made.toString(16)
  return {
    serial: `SHC${hex.toUpperCase().padStart(8, '0')}`,
    nickname: nickname ?? `Learner ${made}`,
    uuid: `00000000-0000-4000-8000-${hex.padStart(12, '0')}`,
    pubkey: madeUpKey(),
  }
}

export const serverAt = (url: string): Server => parseServer(new URL(url).host, 8080)

/** Registers over XML-RPC as a laptop does. @param url of the listener `id` */
export const enrol = (who: Registrant, url: string, timeout = 20_000): Promise<Registration> =>
  register(who, { server: serverAt(url), timeout })
