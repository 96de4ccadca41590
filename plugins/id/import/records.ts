/** A registration as some file has it, unchecked, and where it stands in it. */
export interface Found {
  where: string
  nickname: string
  pubkey: string
  serials: string[]
  uuids: string[]
  registeredAt?: string | undefined
  lastSeen?: string | undefined
  aliasOf?: string | undefined
}

/** A machine of the original registry, which names its learner by uid. */
export interface FoundMachine {
  where: string
  uid: string
  serial: string
  uuid: string
}

/** Something in a file that is no registration, and why. */
export interface Unread {
  where: string
  reason: string
}

export interface Findings {
  users: Found[]
  machines: FoundMachine[]
  unread: Unread[]
}

export const nothing = (): Findings => ({ users: [], machines: [], unread: [] })
