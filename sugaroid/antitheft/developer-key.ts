import { checkLines, type SignedFile } from './lines.js'
import { readSignatureLine } from './link.js'
import type { LockedLaptop } from './locked-laptop.js'
import { never } from './moment.js'
import { checkSignature } from './signature.js'
import { invalid, type Verdict } from './verdict.js'

const front = `A ${never} `

function checkRest(rest: string, laptop: LockedLaptop): Verdict {
  const line = rest.startsWith(front) ? readSignatureLine(rest.slice(front.length)) : undefined
  if (line?.kind !== 'sig01') return invalid(`it is not written as dev01: SN A ${never} and a sig01`)
  return checkSignature(line, Buffer.from(`${laptop.serial}:${laptop.uuid}:A:${never}`), laptop)
}

/**
 * What a laptop makes of a file of developer keys, `develop.sig`, the keys being those of developer keys.
 * Facts: docs/reference/protocols.md: Anti-theft, Lines.
 */
export function checkDeveloperKey(file: SignedFile, laptop: LockedLaptop): Verdict {
  return checkLines(file, 'dev01:', laptop, (rest) => checkRest(rest, laptop))
}
