import { asError, type Call, RequestError } from '../../../core/api.js'
import { shortId } from '../keys/stored.js'
import type { Role } from '../public.js'
import type { Service } from '../service.js'
import { readKeys } from './key-files.js'
import { remember } from './remember.js'

const dataError = 65

type Import = Pick<Call, 'files' | 'print' | 'note'> & { options: { role: Role } }

/**
 * `keyring import FILE`: takes over every key of a file or directory.
 * @returns 65 when one was refused
 */
export async function importKeys(service: Service, call: Import): Promise<number> {
  const { vault, config } = service
  const { role } = call.options
  const { keys, refused, passed } = await readKeys(call.files())
  for (const path of passed) call.note(`passed over: ${path} is no key`)
  for (const { path, reason } of refused) call.note(`refused: ${path} ${reason}`)
  if (keys.length === 0 && refused.length === 0) {
    throw new RequestError('NOT_FOUND', 'there is no key in it', {
      hint: 'name a .public or .private file of makekey, a "key01:" text, or a directory of them',
    })
  }
  const tally = { taken: 0, known: 0, refused: refused.length }
  try {
    for (const { paths, publicKey, privateDer } of keys) {
      const what = `${privateDer === undefined ? 'public key' : 'pair'} ${shortId(publicKey)} (${role})`
      const where = paths.join(' and ')
      try {
        const isNew =
          privateDer === undefined
            ? (await vault.add(role, publicKey)) === 'new'
            : (await vault.addPair(role, privateDer)).isNew
        if (isNew) await remember(service, call, 'import', publicKey.id)
        call.print(isNew ? `taken: ${what} of ${where}` : `as it was: ${what} of ${where}`)
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
