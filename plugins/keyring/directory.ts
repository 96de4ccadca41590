import { KeptDirectory } from '../../core/api.js'

/** Where the keys and the audit log are. */
export const keyringDirectory = new KeptDirectory({
  name: 'keyring',
  holds: 'the keys',
  below: 'keyring',
  trace: 'store/keyring.issued.db',
})
