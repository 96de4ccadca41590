import { choice, flag, path } from '../../core/api.js'

export const options = {
  'keyring-role': choice({
    help: 'Whose this server is: a school signs leases with what was delegated to it; an authority holds master keys, and delegates.',
    default: 'school',
    of: ['school', 'authority'],
  }),
  'keyring-driver': choice({
    help: 'What signs: this program, or the tools of bios-crypto.',
    default: 'native',
    of: ['native', 'bios-crypto'],
  }),
  'bios-crypto-path': path({
    help: 'Directory of the tools of bios-crypto, for "keyring-driver = bios-crypto".',
    default: '/usr/bin',
  }),
  'keyring-passphrase-file': path({
    help: 'File with the passphrase under which private keys are kept, which nobody else may read; not said, they are kept as they are.',
    default: '',
  }),
  'keyring-synchronised': flag({
    help: 'Sign only while the system says that its clock is synchronised.',
    default: false,
  }),
  'keyring-developer': flag({
    help: 'Let an authority sign developer keys, which unlock a laptop for ever.',
    default: false,
  }),
}
