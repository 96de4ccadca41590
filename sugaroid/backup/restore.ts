import { rename } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import { HomeError, UsageError } from '../errors.js'
import { makeFolders } from '../files.js'
import { datastoreOf, namesIn } from '../journal/layout.js'
import { findPrograms } from '../programs.js'
import { openAccount } from './account.js'
import { remotePath, remoteShell, runRsync } from './transfer.js'

export interface RestoreOptions {
  /** `HOST[:HTTPPORT]` in place of what registration left behind. */
  readonly server?: string | undefined
  /**
   * The id of a snapshot; `latest` when not given: what was sent last, or what was there before most of it went.
   */
  readonly snapshot?: string | undefined
  /** Another directory than the Journal's own. */
  readonly to?: string | undefined
}

export type Restore =
  | { readonly outcome: 'restored'; readonly directory: string; readonly said: string }
  /** rsync or ssh failed; `code` is rsync's, 255 ssh's. What has come stays in `partial` for the next attempt. */
  | { readonly outcome: 'failed'; readonly code: number; readonly said: string; readonly partial: string }

function source(snapshot = 'latest'): string {
  if (/^[A-Za-z0-9][A-Za-z0-9.:_-]{0,63}$/.test(snapshot)) return `snapshots/${snapshot}/`
  throw new UsageError(
    `'${snapshot}' is no snapshot`,
    'write its id: letters, digits, dots, colons and dashes',
  )
}

/**
 * Brings the Journal back from the server, with modes and times, by the key that sent it. It comes into a directory
 * beside its place and moves there when it is whole; an attempt that failed is gone on with. Throws a HomeError when
 * there is anything in the place already, a MissingProgram without rsync or ssh.
 */
export async function restoreJournal(home: string, options: RestoreOptions = {}): Promise<Restore> {
  await findPrograms()
  const account = await openAccount(home, options.server)
  const from = source(options.snapshot)
  const directory = resolve(options.to ?? datastoreOf(home))
  if ((await namesIn(directory)).length > 0) {
    throw new HomeError(
      `${directory} is not empty, and a Journal is never overwritten`,
      'restore beside it with --to DIR, or lose it first: "sugaroid journal --wipe"',
    )
  }
  makeFolders(dirname(directory))
  const partial = `${directory}.restoring`
  const remote = `${account.place.user}@${remotePath(account, from)}`
  const common = ['-rlt', '-p', '--delete', '--partial', '--timeout=160', '-e', remoteShell(account)]
  const { code, said } = await runRsync(home, [...common, remote, `${partial}/`])
  if (code !== 0) return { outcome: 'failed', code, said, partial }
  await rename(partial, directory)
  return { outcome: 'restored', directory, said }
}
