import type { Collection, InputFile } from '../../../core/api.js'
import type { KnownDoc } from '../documents.js'
import { parseSerial } from '../identity.js'
import { parsePublicKey } from '../key.js'
import { emptyTally, refusing, type Tally } from './importer.js'

/** Takes over a list of laptops that may register: serials, uids or public keys, the first cell of each line. */
export async function importKnown(
  known: Collection<KnownDoc>,
  files: AsyncIterable<InputFile>,
): Promise<Tally> {
  const tally = emptyTally()
  for await (const { path, bytes } of files) {
    const lines = bytes
      .toString('utf8')
      .replace(/^\ufeff/, '')
      .split(/\r\n|\n|\r/)
    for (const [index, line] of lines.entries()) {
      const cell = firstCell(line)
      if (cell === '' || cell.startsWith('#') || /^(serial|uid|pubkey)$/i.test(cell)) continue
      await refusing(`${path}:${index + 1}`, tally, async () => {
        const entry = entryOf(cell)
        if ((await known.get(entry)) !== undefined) tally.unchanged += 1
        else {
          await known.insert({ entry })
          tally.added += 1
        }
      })
    }
  }
  return tally
}

function entryOf(cell: string): string {
  if (/^[0-9a-f]{40}$/i.test(cell)) return `uid:${cell.toLowerCase()}`
  if (cell.length > 32) return `uid:${parsePublicKey(cell).uid}`
  return `serial:${parseSerial(cell)}`
}

function firstCell(line: string): string {
  const unquoted = line.trim().replace(/^"([^"]*)".*$/, '$1')
  return unquoted.split(/[,;]/)[0]?.trim() ?? ''
}
