import { stat } from 'node:fs/promises'
import { type Probe, SystemError, systemCode } from '../../../core/api.js'

const option = 'keyring-passphrase-file'

/**
 * Whether the file of the passphrase is there. Who asks may be another user than the server's, so that nothing is said
 * of whether it can be read, or what is in it: the start says that.
 */
export const passphraseFile: Probe = {
  what: `the file of ${option}`,
  async look(settings) {
    const path = String(settings.get(option))
    if (path === '') return undefined
    try {
      if ((await stat(path)).isFile()) return undefined
      return missing(`${path} is no regular file`)
    } catch (error) {
      const code = systemCode(error)
      return code === 'ENOENT' || code === 'ENOTDIR' ? missing(`${path} cannot be read (${code})`) : undefined
    }
  },
}

const missing = (what: string): SystemError =>
  new SystemError('NOT_FOUND', `${option}: ${what}`, { hint: 'name a file with one line of text' })
