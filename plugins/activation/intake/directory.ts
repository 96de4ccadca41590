import { readFile } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import type { InputFile } from '../../../core/api.js'
import type { Desk } from './desk.js'
import type { Incoming } from './incoming.js'
import { home, isHidden, type Laid, layOut } from './place.js'
import { refusedWhole } from './tally.js'

/** Directories that are told of, of those that are passed over. */
const mostTold = 20

/** What came with a directory that was named at the command line. */
export interface Arrived extends Laid {
  /** Directories that were passed over. */
  readonly passedOver: readonly string[]
}

/**
 * Takes in a directory that comes file by file. What counts is what lies in it, in `xs-activation` below it, and in the
 * directory of this server below either; where there is a manifest, as the manifest says.
 * @param incoming where the files are kept meanwhile
 */
export async function arrive(
  desk: Pick<Desk, 'config'>,
  files: AsyncIterable<InputFile>,
  incoming: Incoming,
  signal?: AbortSignal,
): Promise<Arrived> {
  const hostname = desk.config.hostname.toLowerCase()
  const ours = ['.', hostname, home, join(home, hostname)]
  const found = new Map<string, string[]>()
  const passedOver = new Set<string>()
  for await (const { path, bytes } of files) {
    signal?.throwIfAborted()
    const [folder, name] = [dirname(path), basename(path)]
    // On a stick case does not count.
    if (!ours.includes(folder.toLowerCase())) passedOver.add(folder)
    else if (!isHidden(name)) {
      await incoming.put(folder, name, bytes)
      found.set(folder, [...(found.get(folder) ?? []), name])
    }
  }
  const laid: Laid[] = []
  for (const [folder, names] of found) {
    const servers = new Set([home, hostname])
    const place = { top: incoming.path, folder: folder === '.' ? '' : folder, servers }
    const isSummed = names.some((name) => name.toLowerCase() === 'manifest.sha1')
    laid.push(isSummed ? await layOut(desk, place, signal) : unsummed(desk, place, names))
  }
  return {
    files: laid.flatMap((one) => one.files),
    refused: laid.flatMap((one) => one.refused),
    passedOver: [...passedOver].slice(0, mostTold),
  }
}

/** What lies in a directory without a manifest. */
function unsummed(
  { config }: Pick<Desk, 'config'>,
  { top, folder }: { top: string; folder: string },
  names: readonly string[],
): Laid {
  if (config.security) {
    const fault = 'there is no manifest.sha1 in it, and the option security asks for a signed one'
    return { files: [], refused: [refusedWhole(folder || '.', fault)] }
  }
  const files = names.map((name) => ({
    name: join(folder, name),
    read: () => readFile(join(top, folder, name)),
  }))
  return { files, refused: [] }
}
