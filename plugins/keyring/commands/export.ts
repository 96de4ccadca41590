import { type Call, RequestError } from '../../../core/api.js'
import { shortId } from '../keys/stored.js'
import type { Service } from '../service.js'
import { operator } from './input.js'

type Export = Pick<Call, 'print' | 'note' | 'write' | 'deliver'> & {
  args: { key: string }
  options: { private: boolean; text: boolean; to: string }
}

/** `keyring export KEY --to FILE`: a half of a pair, as makekey writes it, or the public one as `key01:` text. */
export async function exportKey({ vault, audit }: Service, call: Export): Promise<void> {
  const { text, to, private: isPrivate } = call.options
  if (isPrivate && text) {
    throw new RequestError('USAGE', 'a private key has no form of text', {
      hint: 'say one of --private and --text',
    })
  }
  if (to === '' && !text) {
    throw new RequestError('USAGE', `export needs --to for ${isPrivate ? 'a private key' : 'a key in DER'}`, {
      hint: 'name a new file, or say --text for a public key on standard output',
    })
  }
  const { role, publicKey } = vault.find(call.args.key)
  const id = shortId(publicKey)
  if (isPrivate) {
    const der = vault.privateDer(publicKey.id)
    try {
      // Before it leaves: a private key of which nobody knows that it is elsewhere is worse than none.
      await audit.append({ by: operator, what: 'keyring export --private', key: publicKey.id })
      await call.deliver({ to, form: 'file' }, only(der))
    } finally {
      der.fill(0)
    }
    call.print(`${to}: the private key ${id} (${role})`)
    call.note('whoever has this file signs as this server does')
    return
  }
  if (to === '') {
    call.write(publicKey.key01)
    return
  }
  await call.deliver({ to, form: 'file' }, only(text ? Buffer.from(publicKey.key01) : publicKey.der))
  call.print(`${to}: the public key ${id} (${role})`)
}

async function* only(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes
}
