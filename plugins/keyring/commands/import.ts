import { asError, type Call, RequestError } from '../../../core/api.js'
import { type StoredKey, shortId } from '../keys/stored.js'
import type { Service } from '../service.js'
import { readKeys } from './key-files.js'
import { recorded } from './recorded.js'
import { roleOf } from './role.js'

const dataError = 65

type Import = Pick<Call, 'files' | 'print' | 'note'> & { options: { role: string } }

/**
 * `keyring import FILE`: takes over every key of a file or directory.
 * @returns 65 when one was refused
 */
export async function importKeys(service: Service, call: Import): Promise<number> {
  const { vault, config } = service
  const { role: typed } = call.options
  const { keys, refused, passed } = await readKeys(call.files(), typed === '' ? undefined : roleOf(typed))
  for (const path of passed) call.note(`passed over: ${path} is no key`)
  for (const { path, reason } of refused) call.note(`refused: ${path} ${reason}`)
  if (keys.length === 0 && refused.length === 0) {
    throw new RequestError('NOT_FOUND', 'there is no key in it', {
      hint: 'name a .public or .private file of makekey, a "key01:" text, or a directory of them',
    })
  }
  const tally = { taken: 0, known: 0, refused: refused.length }
  try {
    for (const { role, paths, publicKey, privateDer } of keys) {
      const what = `${privateDer === undefined ? 'public key' : 'pair'} ${shortId(publicKey)} (${role})`
      const where = paths.join(' and ')
      const before = vault.signing(role)
      try {
        const isNew = await recorded(service, 'import', async (noted) =>
          privateDer === undefined
            ? (await vault.add(role, publicKey, noted)) === 'new'
            : (await vault.addPair(role, privateDer, noted)).isNew,
        )
        const place = isNew ? placeTaken(before, vault.signing(role)) : ''
        call.print(`${isNew ? 'taken' : 'as it was'}: ${what} of ${where}${place}`)
        tally[isNew ? 'taken' : 'known'] += 1
      } catch (error) {
        if (!(error instanceof RequestError)) throw error
        call.note(`refused: ${where}: ${asError(error).message}`)
        tally.refused += 1
      }
    }
  } finally {
    for (const { privateDer } of keys) privateDer?.fill(0)
  }
  call.print(`${tally.taken} taken, ${tally.known} as they were, ${tally.refused} refused`)
  const ids = new Set(keys.map(({ publicKey: { id } }) => id))
  for (const key of vault.list().filter(({ publicKey: { id } }) => ids.has(id))) {
    const warning = vault.warningOf(key, config['keyring-role'])
    if (warning !== undefined) call.note(warning)
  }
  return tally.refused === 0 ? 0 : dataError
}

/** Of a server's own keys each goes on signing behind what was delegated to it. */
function placeTaken(before: StoredKey | undefined, now: StoredKey | undefined): string {
  const isOther = before !== undefined && now?.publicKey.id !== before.publicKey.id
  if (!isOther || before.role === 'server') return ''
  return `; signs from now on, in place of ${shortId(before.publicKey)}`
}
