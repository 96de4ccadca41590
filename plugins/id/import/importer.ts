import { type Collection, type InputFile, RequestError } from '../../../core/api.js'
import { readCsv } from '../csv.js'
import type { KnownDoc, UserDoc } from '../documents.js'
import { parseNickname, parseSerial, parseUuid } from '../identity.js'
import { parsePublicKey } from '../key.js'
import type { Shelves } from '../registry.js'
import { readJsonRecords } from './json.js'
import { type Findings, type Found, type FoundMachine, nothing, type Unread } from './records.js'

/** What an import did. */
export interface Tally {
  added: number
  updated: number
  unchanged: number
  refused: Unread[]
}

const progressEvery = 500

/** Takes over registrations from files; what is there already stays, and names that are new are added to it. */
export async function importUsers(
  shelves: Shelves,
  files: AsyncIterable<InputFile>,
  progress: (line: string) => void,
): Promise<Tally> {
  const tally: Tally = { added: 0, updated: 0, unchanged: 0, refused: [] }
  const machines: FoundMachine[] = []
  const aliases: Found[] = []
  let done = 0
  for await (const file of files) {
    const found = await read(file)
    tally.refused.push(...found.unread)
    machines.push(...found.machines)
    aliases.push(...found.users.filter(({ aliasOf }) => aliasOf !== undefined && aliasOf !== ''))
    for (const user of found.users) {
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

/** Takes over a list of laptops that may register: serials, uids or public keys, the first cell of each line. */
export async function importKnown(
  known: Collection<KnownDoc>,
  files: AsyncIterable<InputFile>,
): Promise<Tally> {
  const tally: Tally = { added: 0, updated: 0, unchanged: 0, refused: [] }
  for await (const { path, bytes } of files) {
    for (const [index, line] of bytes
      .toString('utf8')
      .replace(/^\ufeff/, '')
      .split(/\r\n|\n|\r/)
      .entries()) {
      const cell =
        line
          .trim()
          .replace(/^"([^"]*)".*$/, '$1')
          .split(/[,;]/)[0]
          ?.trim() ?? ''
      if (cell === '' || cell.startsWith('#') || /^(serial|uid|pubkey)$/i.test(cell)) continue
      await refusing(`${path}:${index + 1}`, tally, async () => {
        const entry = entryOf(cell)
        if ((await known.get(entry)) !== undefined) tally.unchanged += 1
        else {
          await known.insert({ entry })
          tally.added += 1
        }
      })
    }
  }
  return tally
}

function entryOf(cell: string): string {
  if (/^[0-9a-f]{40}$/i.test(cell)) return `uid:${cell.toLowerCase()}`
  if (cell.length > 32) return `uid:${parsePublicKey(cell).uid}`
  return `serial:${parseSerial(cell)}`
}

async function refusing(where: string, tally: Tally, work: () => Promise<unknown>): Promise<void> {
  try {
    await work()
  } catch (error) {
    if (!(error instanceof RequestError)) throw error
    tally.refused.push({ where, reason: error.message })
  }
}

async function read({ path, bytes }: InputFile): Promise<Findings> {
  const { isSqlite, readIdmgr } = await import('./sqlite.js')
  if (isSqlite(bytes)) return readIdmgr(path, bytes)
  const content = bytes.toString('utf8')
  if (/^\ufeff?\s*[[{]/.test(content)) return readJsonRecords(path, content.replace(/^\ufeff/, ''))
  const rows = readCsv(content)
  if (rows.length > 0 && !Object.hasOwn(rows[0]?.row ?? {}, 'pubkey')) {
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

async function keep({ users, machines }: Shelves, found: Found): Promise<'added' | 'updated' | 'unchanged'> {
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
  for (const [index, serial] of serials.entries()) {
    if ((await machines.get(serial)) !== undefined) continue
    const uuid = uuids[index] ?? uuids.at(-1) ?? ''
    await machines.insert({
      serial,
      uuid,
      uid: user?.aliasOf ?? key.uid,
      firstSeen: registeredAt,
      claims: [],
      claimants: [],
    })
  }
  if (user === undefined) {
    const { uid, type, blob } = key
    const lastSeen = dateOr(found.lastSeen, registeredAt)
    await users.insert({
      uid,
      nickname,
      pubkey: `${type} ${blob}`,
      keyType: type,
      ...merged,
      registeredAt,
      lastSeen,
      conflicts: [],
    })
    return 'added'
  }
  if (merged.serials.length === user.serials.length && merged.uuids.length === user.uuids.length)
    return 'unchanged'
  await users.update(user.uid, user.rev, merged)
  return 'updated'
}

async function keepMachine(
  { users, machines }: Shelves,
  { uid, serial: text, uuid }: FoundMachine,
): Promise<void> {
  const user = /^[0-9a-f]{40}$/.test(uid) ? await users.get(uid) : undefined
  if (user === undefined) throw new RequestError('NOT_FOUND', `its learner ${uid} is not registered`)
  const serial = parseSerial(text)
  const known: UserDoc = user
  const uuids = uuid === '' ? known.uuids : union(known.uuids, [parseUuid(uuid)])
  if (!known.serials.includes(serial) || uuids.length > known.uuids.length) {
    const uuidKeys = uuids.map((one) => one.toLowerCase())
    await users.update(uid, user.rev, { serials: union(known.serials, [serial]), uuids, uuidKeys })
  }
  if ((await machines.get(serial)) === undefined) {
    const firstSeen = known.registeredAt
    await machines.insert({ serial, uuid, uid: known.aliasOf ?? uid, firstSeen, claims: [], claimants: [] })
  }
}

async function keepAlias({ users }: Shelves, { pubkey, aliasOf }: Found): Promise<void> {
  const user = await users.get(parsePublicKey(pubkey).uid)
  const owner = aliasOf !== undefined && /^[0-9a-f]{40}$/.test(aliasOf) ? await users.get(aliasOf) : undefined
  if (user === undefined || owner === undefined)
    throw new RequestError('NOT_FOUND', `it is joined to ${aliasOf}, who is not registered`)
  if (user.aliasOf === undefined && user.uid !== owner.uid)
    await users.update(user.uid, user.rev, { aliasOf: owner.aliasOf ?? owner.uid })
}

const union = (one: readonly string[], other: readonly string[]): string[] => [...new Set([...one, ...other])]
