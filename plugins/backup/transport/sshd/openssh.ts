import { outputOf, type Probe, SystemError } from '../../../../core/api.js'

/**
 * Whether the OpenSSH of this machine takes DSA keys, as laptops have them; from OpenSSH 10 on none does.
 * @returns undefined where ssh does not say
 */
export async function takesDsa(): Promise<boolean | undefined> {
  const types = await outputOf('ssh', ['-Q', 'key'])
  return types?.split('\n').includes('ssh-dss')
}

export const noDsa =
  'the OpenSSH of this machine has no DSA: laptops with DSA keys, as every Sugar makes, are refused'

/** Looks whether old laptops come in, where it is OpenSSH that lets them in. */
export const dsaKeys: Probe = {
  what: 'an OpenSSH that takes DSA keys',
  advice: true,
  async look(settings) {
    if (settings.get('backup-transport') !== 'sshd' || (await takesDsa()) !== false) return undefined
    return new SystemError('UNAVAILABLE', noDsa, {
      hint: 'set backup-transport to ssh2: the ssh of this server takes them',
    })
  },
}
