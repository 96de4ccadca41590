/**
 * Work on keys or the audit log in a process of its own, for tests that kill it: keyring-process.js keys|seal|audit FOLDER. It
 * says `ready`, and then a line for each thing that is done.
 */
import { readFileSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { Audit } from '../../../plugins/keyring/audit/audit.js'
import { Vault } from '../../../plugins/keyring/keys/vault.js'

const [what = '', folder = ''] = process.argv.slice(2)
const say = (line: string) => writeSync(1, `${line}\n`)

const work: Record<string, () => Promise<void>> = {
  async keys() {
    const vault = await Vault.open(folder)
    say('ready')
    for (;;) {
      for (const name of ['lease', 'region', 'server', 'oats']) {
        const der = readFileSync(join('test/vectors/bios-crypto/keys', `${name}.private`))
        const { key, isNew } = await vault.addPair('lease', der)
        if (isNew) say(`added ${key.publicKey.id}`)
        for (const state of ['retired', 'compromised', 'active'] as const) {
          await vault.mark(key.publicKey.id, state)
          say(`${state} ${key.publicKey.id}`)
        }
      }
    }
  },
  async seal() {
    say('ready')
    await Vault.open(folder, { passphrase: Buffer.from('one for the school') })
    say('sealed')
  },
  async audit() {
    const audit = await Audit.open(folder)
    say('ready')
    for (let round = 0; ; round += 1) {
      const lines = Array.from({ length: 1 + (round % 7) }, (_, index) => `act01 ${round}.${index}`)
      await Promise.all(
        lines.map((line) =>
          audit.append({ by: 'test', what: line, serial: 'SHC00000001', key: 'ab' }).then(() => say(line)),
        ),
      )
    }
  },
}

await work[what]?.()
