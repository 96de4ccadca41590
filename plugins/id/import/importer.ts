import { type InputFile, RequestError, StoreError } from '../../../core/api.js'
import { readCsv } from '../csv.js'
import type { Shelves, UserDoc } from '../documents.js'
import { isSerialOfOne, parseNickname, parseSerial, parseUuid } from '../identity.js'
import { dispute, join } from '../joining.js'
import { parsePublicKey } from '../key.js'
import { isClaimedBy } from '../machines.js'
import { readJsonRecords } from './json.js'
import { type Findings, type Found, type FoundMachine, nothing, type Unread } from './records.js'

/** What an import did. */
export interface Tally {
  added: number
  updated: number
  unchanged: number
  refused: Unread[]
}

export const emptyTally = (): Tally => ({ added: 0, updated: 0, unchanged: 0, refused: [] })

const progressEvery = 500

/** Takes over registrations from files; what is there already stays, and names that are new are added to it. */
export async function importUsers(
  shelves: Shelves,
  files: AsyncIterable<InputFile>,
  progress: (line: string) => void,
): Promise<Tally> {
  const tally = emptyTally()
  const machines: FoundMachine[] = []
  const aliases: Found[] = []
  let done = 0
  for await (const file of files) {
    const found = nothing()
    await refusing(file.path, tally, async () => {
      Object.assign(found, await read(file))
    })
    tally.refused.push(...found.unread)
    machines.push(...found.machines)
    aliases.push(...found.users.filter(({ aliasOf }) => aliasOf !== undefined && aliasOf !== ''))
    // In the order in which they came: a serial of several belongs to the first.
    for (const user of found.users.sort(byRegistration)) {
      await refusing(user.where, tally, async () => {
        tally[await keep(shelves, user)] += 1
      })
      done += 1
      if (done % progressEvery === 0) progress(`${done} registrations read`)
    }
  }
  // Machines and joins name learners that may stand in a later file.
  for (const machine of machines) await refusing(machine.where, tally, () => keepMachine(shelves, machine))
  for (const alias of aliases) await refusing(alias.where, tally, () => keepAlias(shelves, alias))
  return tally
}

const byRegistration = (one: Found, other: Found): number => since(one) - since(other) || 0

/** Milliseconds; those of whom it is not known come last. */
function since({ registeredAt = '' }: Found): number {
  const time = Date.parse(registeredAt)
  return Number.isNaN(time) ? Number.POSITIVE_INFINITY : time
}

const mostTries = 8

/** Does one item; one that is refused is noted, and the others go on. */
export async function refusing(where: string, tally: Tally, work: () => Promise<unknown>): Promise<void> {
  for (let tries = 1; ; tries += 1) {
    try {
      await work()
      return
    } catch (error) {
      // The laptop itself may register at this moment: what an item does can be done again.
      if (error instanceof StoreError && error.code === 'STORE_CONFLICT' && tries < mostTries) continue
      if (!(error instanceof RequestError)) throw error
      tally.refused.push({ where, reason: error.message })
      return
    }
  }
}

async function read({ path, bytes }: InputFile): Promise<Findings> {
  const { isSqlite, readIdmgr } = await import('./sqlite.js')
  if (isSqlite(bytes)) return readIdmgr(path, bytes)
  const content = bytes.toString('utf8')
  if (/^\ufeff?\s*[[{]/.test(content)) return readJsonRecords(path, content.replace(/^\ufeff/, ''))
  const rows = readCsv(content)
  const [first] = rows
  if (first === undefined ? !/^\s*$|pubkey/.test(content) : !Object.hasOwn(first.row, 'pubkey')) {
    const reason = 'it is neither a database of an XS, nor JSON, nor CSV with a column pubkey'
    return { ...nothing(), unread: [{ where: path, reason }] }
  }
  return {
    ...nothing(),
    users: rows.map(({ line, row }) => ({
      where: `${path}:${line}`,
      nickname: row.nickname ?? '',
      pubkey: row.pubkey ?? '',
      serials: words(row.serials ?? row.serial),
      uuids: words(row.uuids ?? row.uuid),
      registeredAt: row.registeredAt,
      lastSeen: row.lastSeen,
      aliasOf: row.aliasOf,
    })),
  }
}

const words = (cell = ''): string[] => cell.split(/\s+/).filter((word) => word !== '')

const dateOr = (text: string | undefined, otherwise: string): string => {
  const time = Date.parse(text ?? '')
  return Number.isNaN(time) ? otherwise : new Date(time).toISOString()
}

async function keep(shelves: Shelves, found: Found): Promise<'added' | 'updated' | 'unchanged'> {
  const { users } = shelves
  const key = parsePublicKey(found.pubkey)
  const nickname = parseNickname(found.nickname)
  const serials = found.serials.map(parseSerial)
  const uuids = found.uuids.map(parseUuid)
  const now = new Date().toISOString()
  const registeredAt = dateOr(found.registeredAt, now)
  const user = await users.get(key.uid)
  const merged = {
    serials: union(user?.serials ?? [], serials),
    uuids: union(user?.uuids ?? [], uuids),
    uuidKeys: union(user?.uuids ?? [], uuids).map((uuid) => uuid.toLowerCase()),
  }
  const kept = user ?? (await insert())
  for (const [index, serial] of serials.entries())
    await keepSerial(shelves, kept, serial, uuids[index] ?? uuids.at(-1) ?? '', registeredAt)
  if (user === undefined) return 'added'
  if (merged.serials.length === user.serials.length && merged.uuids.length === user.uuids.length)
    return 'unchanged'
  const { rev } = (await users.get(user.uid)) ?? user
  await users.update(user.uid, rev, merged)
  return 'updated'

  function insert(): Promise<UserDoc> {
    const { uid, type, blob } = key
    const lastSeen = dateOr(found.lastSeen, registeredAt)
    return users.insert({
      uid,
      nickname,
      pubkey: `${type} ${blob}`,
      keyType: type,
      ...merged,
      registeredAt,
      lastSeen,
      conflicts: [],
    })
  }
}

/** Notes whose a serial is. One that somebody else has stays there, and is in dispute. */
async function keepSerial(
  shelves: Shelves,
  { uid, aliasOf }: UserDoc,
  serial: string,
  uuid: string,
  firstSeen: string,
): Promise<void> {
  if (!isSerialOfOne(serial)) return
  const { machines } = shelves
  const owner = aliasOf ?? uid
  const machine = await machines.get(serial)
  if (machine === undefined) await machines.insert({ serial, uuid, uid: owner, firstSeen, claims: [] })
  else if (machine.uid !== owner && !isClaimedBy(machine, uid))
    await dispute(shelves, machine, uid, firstSeen)
}

async function keepMachine(shelves: Shelves, { uid, serial: text, uuid }: FoundMachine): Promise<void> {
  const { users } = shelves
  const user = /^[0-9a-f]{40}$/.test(uid) ? await users.get(uid) : undefined
  if (user === undefined) throw new RequestError('NOT_FOUND', `its learner ${uid} is not registered`)
  const serial = parseSerial(text)
  const known: UserDoc = user
  const uuids = uuid === '' ? known.uuids : union(known.uuids, [parseUuid(uuid)])
  if (!known.serials.includes(serial) || uuids.length > known.uuids.length) {
    const uuidKeys = uuids.map((one) => one.toLowerCase())
    await users.update(uid, user.rev, { serials: union(known.serials, [serial]), uuids, uuidKeys })
  }
  await keepSerial(shelves, known, serial, uuid, known.registeredAt)
}

async function keepAlias(shelves: Shelves, { pubkey, aliasOf }: Found): Promise<void> {
  const { users } = shelves
  const user = await users.get(parsePublicKey(pubkey).uid)
  const owner = aliasOf !== undefined && /^[0-9a-f]{40}$/.test(aliasOf) ? await users.get(aliasOf) : undefined
  if (user === undefined || owner === undefined)
    throw new RequestError('NOT_FOUND', `it is joined to ${aliasOf}, who is not registered`)
  if (user.aliasOf === undefined) await join(shelves, user.uid, owner.uid)
}

const union = (one: readonly string[], other: readonly string[]): string[] => [...new Set([...one, ...other])]
