import { SystemError } from '../../../core/api.js'
import { type Ended, start } from '../unpack/program.js'

/** How owners, devices and setuid bits of builds are kept here; or why they cannot be. */
export type Keeping =
  | { readonly owners: 'attributes' }
  /** `reason` is why not in attributes, and `hint` what is to be done about that. */
  | { readonly owners: 'fakeroot'; readonly reason: string; readonly hint: string }
  | { readonly problem: SystemError }

/**
 * Tries what the file system of a directory can do. It is the directory itself that gets an attribute: on a disk that is
 * full nothing can be made, and what is published must be served all the same.
 * @param folder one that is served to nobody
 */
export async function keepingIn(folder: string): Promise<Keeping> {
  const attribute = await run('setfattr', ['-n', 'user.rsync.%stat', '-v', '40700 0,0 0:0', folder])
  if (attribute?.code === 0 || /No space left/.test(attribute?.said ?? '')) return { owners: 'attributes' }
  if ((await run('fakeroot', ['-v']))?.code === 0) {
    const isInstalled = attribute !== undefined
    return {
      owners: 'fakeroot',
      reason: isInstalled
        ? 'the disk of rsync-root keeps no attributes'
        : 'the program setfattr is not installed',
      hint: isInstalled ? 'have rsync-root on ext4, xfs or btrfs' : 'install it: apt-get install attr',
    }
  }
  return {
    problem: new SystemError(
      'UNAVAILABLE',
      'builds cannot be published: either the program setfattr is not installed, or the disk of rsync-root keeps no attributes of users and fakeroot is not installed',
      { hint: 'install the packages attr and fakeroot: apt-get install attr fakeroot' },
    ),
  }
}

/** @returns how it ended; undefined when it is not installed */
async function run(program: 'setfattr' | 'fakeroot', args: readonly string[]): Promise<Ended | undefined> {
  try {
    const { signal } = new AbortController()
    return await start(program, args, { stdio: ['ignore', 'ignore', 'pipe'], signal }).ended
  } catch (error) {
    if (error instanceof SystemError && error.code === 'PROGRAM_MISSING') return undefined
    throw error
  }
}
