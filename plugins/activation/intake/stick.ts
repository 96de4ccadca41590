import { constants } from 'node:fs'
import { type FileHandle, open, opendir } from 'node:fs/promises'
import { join } from 'node:path'
import { RequestError, SystemError, systemCode } from '../../../core/api.js'
import { home, isHidden } from './place.js'

/** A directory of a stick that is meant for this server. */
export interface Place {
  /** From the top of the stick: `xs-activation`, `xs-activation/schoolserver`. */
  readonly folder: string
  /** Names in it that are directories of servers, in lower case. */
  readonly servers: ReadonlySet<string>
}

/** What a stick holds for servers. */
export interface Stick {
  readonly places: readonly Place[]
  /** Directories of other servers, from the top of the stick. */
  readonly foreign: readonly string[]
}

interface Entry {
  readonly name: string
  readonly isDirectory: boolean
}

/** Names that are looked at; a stick with more is nobody's work of hands. */
const mostNames = 10_000

/**
 * Looks where on a stick there is something for this server. Opens nothing: whether a name can be trusted to be what it
 * looks like shows when it is opened.
 * @throws RequestError NOT_FOUND when there is nothing; REFUSED when what should be a directory is none;
 *   REQUEST_TOO_LARGE
 * @throws SystemError REFUSED when it cannot be read
 */
export async function look(mountpoint: string, hostname: string): Promise<Stick> {
  const servers = new Set<string>()
  let hasFiles = false
  for (const { name, isDirectory } of await entriesOf(join(mountpoint, home))) {
    if (isHidden(name)) continue
    if (isDirectory) servers.add(name)
    else hasFiles = true
  }
  const own = [...servers].find((name) => name.toLowerCase() === hostname.toLowerCase())
  const places: Place[] = []
  if (hasFiles)
    places.push({ folder: home, servers: new Set([...servers].map((name) => name.toLowerCase())) })
  if (own !== undefined) places.push({ folder: join(home, own), servers: new Set() })
  const foreign = [...servers].filter((name) => name !== own).map((name) => join(home, name))
  if (places.length === 0) {
    const found = foreign.length === 0 ? 'is empty' : 'holds only what is for other servers'
    throw new RequestError('NOT_FOUND', `${home} ${found}`, {
      hint: `put the files into ${join(home, hostname)} on the stick, with a manifest.sha1`,
    })
  }
  return { places, foreign }
}

async function entriesOf(folder: string): Promise<Entry[]> {
  let directory: FileHandle | undefined
  try {
    // A link would have the names of a directory of this machine told.
    directory = await open(folder, constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW)
    const found: Entry[] = []
    for await (const entry of await opendir(`/proc/self/fd/${directory.fd}`)) {
      if (found.length === mostNames)
        throw new RequestError('REQUEST_TOO_LARGE', `${home} holds more than ${mostNames} names`)
      found.push({ name: entry.name, isDirectory: entry.isDirectory() })
    }
    return found
  } catch (error) {
    throw error instanceof RequestError ? error : unfit(error)
  } finally {
    await directory?.close()
  }
}

function unfit(cause: unknown): unknown {
  switch (systemCode(cause)) {
    case undefined:
      return cause
    case 'ENOENT':
      return new RequestError('NOT_FOUND', `there is no directory ${home}`, {
        hint: `make it, put the files into it, and a manifest.sha1`,
      })
    case 'ENOTDIR':
    case 'ELOOP':
      return new RequestError('REFUSED', `${home} is not a directory`, {
        hint: 'put the directory itself there',
      })
    default:
      return new SystemError('REFUSED', `${home} cannot be read (${systemCode(cause)})`, {
        hint: `mount the stick so that the user of this server can read it, uid ${process.geteuid?.()}`,
        cause,
      })
  }
}
