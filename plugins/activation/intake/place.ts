import { join } from 'node:path'
import { openMedium, SugarError } from '../../../core/api.js'
import type { Brought } from './brought.js'
import type { Desk } from './desk.js'
import { type Outcome, refusedWhole } from './tally.js'

/** Bytes that a file may have. */
const largestFile = 64 * 1024 * 1024

/** The directory of a stick where everything for school servers lies. */
export const home = 'xs-activation'

/** What lies in directories that somebody brought. */
export interface Laid {
  readonly files: readonly Brought[]
  /** Files and directories that are not to be taken. */
  readonly refused: readonly Outcome[]
}

/** Whether a file is some system's own: `.DS_Store`, `._leases.sig`. */
export const isHidden = (name: string): boolean => name.startsWith('.')

/**
 * What lies in a directory with a manifest, each file as it was summed and, when the option `security` is on, signed.
 * @param place.top of what was brought @param place.folder in it; `''`: itself
 * @param place.servers names in it that are directories of servers, in lower case
 */
export async function layOut(
  { config }: Pick<Desk, 'config'>,
  { top, folder, servers }: { top: string; folder: string; servers: ReadonlySet<string> },
  signal?: AbortSignal,
): Promise<Laid> {
  const keys = config['security-keys'] || join(config.root, 'trusted.gpg')
  const spec = { security: config.security, keys, folder, ...(signal && { signal }) }
  const directory = join(top, folder)
  try {
    const medium = await openMedium(top, spec)
    const read = (name: string) =>
      medium.read(name, { limit: largestFile }).catch((error: unknown) => {
        throw asKnown(error, directory)
      })
    const names = medium.names.filter((name) => !isHidden(name))
    const strangers = medium.strangers.filter(
      ({ name }) => !isHidden(name) && !servers.has(name.toLowerCase()),
    )
    return {
      files: names.map((name) => ({ name: join(folder, name), read: () => read(name) })),
      refused: strangers.map(({ name, reason }) => refusedWhole(join(folder, name), reason)),
    }
  } catch (error) {
    const known = asKnown(error, directory)
    if (!(known instanceof SugarError)) throw error
    return { files: [], refused: [refusedWhole(folder || '.', known.message, known.hint)] }
  }
}

/** An error that does not tell where what was brought is mounted, or kept meanwhile. */
function asKnown(error: unknown, directory: string): unknown {
  if (!(error instanceof SugarError)) return error
  const message = error.message.replaceAll(`${directory}/`, '').replaceAll(directory, 'it')
  return new SugarError(error.code, message, { hint: error.hint, cause: error })
}
