import type { Opening } from './opening.js'

/** They encrypt and sign in one pass, for half the work of all others here. */
const cheapCiphers = ['aes128-gcm@openssh.com', 'aes256-gcm@openssh.com'] as const

/**
 * Whether a client has them. OpenSSH since 6.2 has, and would choose aes128-ctr all the same where that is offered:
 * it comes first in the client's list.
 */
export function hasCheapCiphers({ sending, getting }: Opening): boolean {
  return [sending, getting].every((names) => cheapCiphers.some((name) => names.includes(name)))
}

/**
 * What the server offers, the best and cheapest first. A client's own order decides which of them is used, so what is
 * slow here and not needed by anybody is left out (chacha20-poly1305 without a native module).
 */
export const algorithms = {
  kex: [
    // Half the work of a handshake is this; curve25519 is the cheapest.
    'curve25519-sha256',
    'curve25519-sha256@libssh.org',
    'ecdh-sha2-nistp256',
    'ecdh-sha2-nistp384',
    'ecdh-sha2-nistp521',
    'diffie-hellman-group14-sha256',
    'diffie-hellman-group16-sha512',
    // All that OpenSSH 4 and 5 on the first XOs have (docs/reference/protocols.md: backup, DSA keys).
    'diffie-hellman-group14-sha1',
  ],
  serverHostKey: ['ssh-ed25519', 'rsa-sha2-512', 'rsa-sha2-256', 'ssh-rsa'],
  cipher: [...cheapCiphers, 'aes128-ctr', 'aes192-ctr', 'aes256-ctr', 'aes128-cbc', '3des-cbc'],
  hmac: [
    'hmac-sha2-256-etm@openssh.com',
    'hmac-sha2-512-etm@openssh.com',
    'hmac-sha1-etm@openssh.com',
    'hmac-sha2-256',
    'hmac-sha2-512',
    'hmac-sha1',
  ],
  // rsync packs by itself (-z), and better.
  compress: ['none'],
} as const

/** The same for those who have the cheap ciphers. */
export const cheapAlgorithms = { ...algorithms, cipher: cheapCiphers } as const
