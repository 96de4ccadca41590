import { RequestError } from '../../../core/api.js'
import type { Audit } from '../audit/audit.js'
import { Breath } from '../breath.js'
import type { DelegationDoc } from '../documents.js'
import type { Vault } from '../keys/vault.js'
import type { Intake } from '../public.js'
import type { Notary } from '../sign/notary.js'
import { mostDelegations } from '../sign/records.js'
import { follow } from '../verify/chain.js'
import { short } from '../verify/verdict.js'
import type { PublicKey } from '../wire/key.js'
import { earliest, formatMoment, isLater } from '../wire/moment.js'
import { type Line, longestLine, parseLine } from '../wire/record.js'
import { formatSignature, isNamed, isSignedBy, type Link } from '../wire/signature.js'
import { type DelegatedRole, type Held, type HeldDelegations, idOf, rootOf } from './held.js'

/** Characters of the largest file. */
const largest = 64 << 20
/** Lines, several for each laptop that a file of that size could name. */
const mostLines = 500_000
/** Lines that are refused with a reason each; a file with more of them is something else. */
const mostRefused = 10_000

export interface Taking {
  readonly vault: Pick<Vault, 'trusted' | 'list' | 'isCompromised'>
  readonly audit: Pick<Audit, 'append'>
  readonly held: HeldDelegations
  /** Knows what time it is. */
  readonly notary: Pick<Notary, 'now'>
}

export interface Offer {
  readonly role: DelegatedRole
  /** `del01:` lines. */
  readonly text: string
  /** Who brings it, for the audit log. */
  readonly by: string
}

/** A file of `del01:` lines on its way in. */
interface Reading {
  readonly role: DelegatedRole
  readonly at: Date
  readonly vault: Taking['vault']
  readonly trusted: readonly PublicKey[]
  /** Keys that may be handed over to. */
  readonly own: readonly PublicKey[]
}

type Refusal = Intake['refused'][number]

/**
 * Takes over a file of delegations: what is good of it, with a reason for each line that is not.
 * @throws RequestError when nothing of it can be judged; what HeldDelegations.put() throws, and nothing was taken
 */
export async function takeDelegations(
  { vault, audit, held, notary }: Taking,
  { role, text, by }: Offer,
): Promise<Intake> {
  if (text.length > largest)
    throw new RequestError(
      'REQUEST_TOO_LARGE',
      `the file has ${text.length} characters, more than ${largest}`,
    )
  const reading: Reading = {
    ...{ role, at: notary.now(), vault },
    ...{ trusted: vault.trusted(role), own: ownKeys(vault) },
  }
  checkKeys(reading)
  const refused: Refusal[] = []
  const good = new Map<string, DelegationDoc>()
  let unchanged = 0
  const breath = new Breath()
  for (const { number, line } of linesOf(text)) {
    if (breath.isDue) await breath.take()
    if (number > mostLines)
      throw new RequestError('REQUEST_TOO_LARGE', `the file has more than ${mostLines} lines`)
    if (line.trim() === '') continue
    const judged = judge(line, reading)
    if ('reason' in judged) {
      if (refused.length === mostRefused) throw noDelegations(number, refused)
      refused.push({ line: number, ...judged })
      continue
    }
    const before = good.get(judged.id) ?? usable(held.get(role, judged.serial), reading)
    if (before !== undefined && !isBetter(judged, before, reading)) unchanged += 1
    else {
      // A line that was taken before this one is passed over.
      if (good.has(judged.id)) unchanged += 1
      good.set(judged.id, judged)
    }
  }
  const docs = [...good.values()]
  const [first] = docs
  if (first !== undefined) {
    // First, so that what cannot be noted is not taken.
    await audit.append({ by, what: `keyring take-delegations ${role} ${docs.length}`, key: first.key })
    await held.put(docs)
  }
  return { taken: docs.map(({ serial }) => serial), unchanged, refused }
}

const ownKeys = (vault: Taking['vault']): PublicKey[] =>
  vault
    .list()
    .filter(({ role, state, hasPrivate }) => role === 'server' && state === 'active' && hasPrivate)
    .map(({ publicKey }) => publicKey)

function checkKeys({ role, trusted, own }: Reading): void {
  if (trusted.length === 0) {
    throw new RequestError(
      'REFUSED',
      `no ${role} key is trusted here, so that no delegation can be verified`,
      {
        hint: `import the authority's public key: "sugar-server keyring import KEY.public --role ${role}"`,
      },
    )
  }
  if (own.length > 0) return
  throw new RequestError('REFUSED', 'this server has no key of its own that anything could be delegated to', {
    hint: 'import the one that the authority made: "sugar-server keyring import KEY.private --role server", or make one: "sugar-server keyring generate server"',
  })
}

function noDelegations(lines: number, [first]: readonly Refusal[]): RequestError {
  const message = `more than ${mostRefused} of the first ${lines} lines are refused; line ${first?.line} ${first?.reason}`
  return new RequestError('REQUEST_INVALID', message, { hint: 'see whether this is the file of delegations' })
}

/** Lines with their numbers. */
function* linesOf(text: string): Generator<{ number: number; line: string }> {
  let from = text.startsWith('\ufeff') ? 1 : 0
  for (let number = 1; from < text.length; number += 1) {
    const feed = text.indexOf('\n', from)
    const end = feed === -1 ? text.length : feed
    // A copy, not a slice: what is kept of a line would keep the whole file in memory.
    const line = Buffer.from(text.slice(from, Math.min(end, from + longestLine + 2)))
      .toString()
      .replace(/\r$/, '')
    yield { number, line }
    from = end + 1
  }
}

function judge(line: string, reading: Reading): DelegationDoc | Omit<Refusal, 'line'> {
  let delegation: Line
  try {
    delegation = parseLine(line)
  } catch (error) {
    return { reason: (error as Error).message }
  }
  if (delegation.kind !== 'delegation') return { serial: delegation.serial, reason: 'is no "del01:" line' }
  const { serial, uuid, signature } = delegation
  const links = signature.version === 2 ? signature.links : []
  if (links.length > mostDelegations)
    return {
      serial,
      reason: `has ${links.length} links, and a lease behind them would be too long for a laptop`,
    }
  const { role, own, trusted, at } = reading
  const unfit = unfitKey(links, reading)
  if (unfit !== undefined) return { serial, reason: unfit }
  let isEnd = false
  let heir: PublicKey | undefined
  const outcome = follow(signature, {
    ...{ serial, trusted, at: formatMoment(at) },
    seal(signer, mark, before) {
      isEnd = true
      heir = own.find((key) => isSignedBy(signer, mark, before + key.key01))
      return heir !== undefined
    },
  })
  if ('fault' in outcome || heir === undefined) {
    const reason = 'fault' in outcome && !isEnd ? outcome.fault : 'lets none of the keys of this server sign'
    return { serial, reason }
  }
  return {
    ...{ id: idOf(role, serial), role, serial, uuid, key: heir.id },
    ...{ chain: formatSignature(signature), takenAt: at.toISOString() },
    until: earliest(links.map(({ expiry }) => expiry)),
  }
}

/** Why the keys that a line goes through are no way to this role, where it is worth a reason of its own. */
function unfitKey(links: readonly Link[], { role, vault }: Reading): string | undefined {
  const ids = links.map(({ key }) => key.slice(-64))
  const leaked = ids.find((id) => vault.isCompromised(id))
  if (leaked !== undefined) return `goes through ${short(leaked)}, which is compromised`
  const other = role === 'lease' ? 'oats' : 'lease'
  const [root] = links
  if (root === undefined || !vault.trusted(other).some((key) => isNamed(root, key))) return undefined
  return `is signed by ${short(root.key.slice(-64))}, which is trusted for ${other} and not for ${role}: take it over with --role ${other}`
}

/** What is held counts against a new line only while it can be signed with. */
function usable(held: Held | undefined, { own, trusted, vault }: Reading): Held | undefined {
  if (held === undefined || !own.some(({ id }) => id === held.key)) return undefined
  if (held.through.some((id) => vault.isCompromised(id))) return undefined
  return trusted.some(({ id }) => id === held.root) ? held : undefined
}

/**
 * The later end wins. Of two that end together it is the one for the newer key, or behind it, so that the older may be
 * retired whatever was imported last; else the newer line: a laptop whose mainboard was changed has another uuid.
 */
function isBetter(line: DelegationDoc, before: DelegationDoc, { own, trusted }: Reading): boolean {
  if (line.until !== before.until) return isLater(line.until, before.until)
  const newer =
    placeOf(line.key, own) - placeOf(before.key, own) ||
    placeOf(rootOf(line.chain), trusted) - placeOf(rootOf(before.chain), trusted)
  return newer === 0 ? line.uuid !== before.uuid : newer > 0
}

/** Keys are listed in the order in which they were added. */
const placeOf = (key: string, keys: readonly PublicKey[]): number => keys.findIndex(({ id }) => id === key)
