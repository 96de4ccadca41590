import { access, constants, realpath, stat } from 'node:fs/promises'
import { sep } from 'node:path'
import { RequestError, systemCode } from '../../../core/api.js'
import { checkPath } from './check.js'

/** Where directories lie that matter when another is to be published. */
export interface Grounds {
  /** Of the server: what is kept there is secret. */
  readonly root: string
  /** Below `rsync-root`: what lies there may be published, wherever that is. */
  readonly pub: string
}

/**
 * The directory that an operator wants published, without links in its path, so that none can lead it elsewhere later.
 * @throws RequestError
 */
export async function directoryOf(wanted: string, { root, pub }: Grounds): Promise<string> {
  const path = await realpath(wanted).catch((cause) => {
    const code = systemCode(cause) ?? ''
    if (code === 'ENOENT' || code === 'ENOTDIR') throw new RequestError('NOT_FOUND', `there is no ${wanted}`)
    throw refused(`${wanted} cannot be published: ${reasons[code] ?? 'it cannot be read'}`)
  })
  checkPath(path)
  if (!(await stat(path)).isDirectory()) throw refused(`${path} cannot be published: it is no directory`)
  const secret = await realpath(root)
  const open = await realpath(pub)
  if (isWithin(secret, path) || (isWithin(path, secret) && !(isWithin(path, open) && path !== open))) {
    throw refused(`${path} cannot be published: the server keeps its own files there`)
  }
  await access(path, constants.R_OK | constants.X_OK).catch(() => {
    throw refused(`${path} cannot be published: the server's user may not read it`)
  })
  return path
}

export const isWithin = (path: string, folder: string): boolean =>
  path === folder || path.startsWith(folder === sep ? sep : folder + sep)

const reasons: Readonly<Record<string, string>> = {
  EACCES: "the server's user may not read it",
  ELOOP: 'its links lead round in a circle',
}

const refused = (message: string): RequestError =>
  new RequestError('REFUSED', message, { hint: 'name another directory' })
