import { checkLines, longestLine, type SignedFile } from './lines.js'
import { readSignatureLine } from './link.js'
import type { Signee } from './locked-laptop.js'
import { type AntitheftKey, key01 } from './public-key.js'
import { checkSignature } from './signature.js'
import { invalid, type Verdict } from './verdict.js'

function checkChain(text: string, laptop: Signee, to: AntitheftKey): Verdict {
  const line = text.length > longestLine ? undefined : readSignatureLine(text)
  if (line?.kind !== 'sig02') return invalid('it is not written as a sig02')
  return checkSignature(line, Buffer.from(key01(to.hex)), laptop)
}

/**
 * Whether this laptop would take from the key `to` what the keys it knows may sign: `file` is one bare `sig02`, or
 * lines `del01: SN UUID sig02` of many laptops. The uuid is not signed, so nothing is said of it.
 * Facts: docs/reference/protocols.md: Anti-theft, Lines and What is signed.
 */
export function checkDelegation(file: SignedFile, laptop: Signee, to: AntitheftKey): Verdict {
  const text = Buffer.from(file).toString('latin1')
  if (text.startsWith('sig02: ')) return checkChain(text.replace(/\r?\n$/, ''), laptop, to)
  // Tools of the field write two spaces, too.
  const lines = text.replace(/^del01: {2}/gm, 'del01: ')
  return checkLines(Buffer.from(lines, 'latin1'), 'del01:', laptop, (rest) => {
    const [, chain] = /^\S{36} (.+)$/.exec(rest) ?? []
    return chain === undefined
      ? invalid('it is not written as del01: SN UUID sig02')
      : checkChain(chain, laptop, to)
  })
}
