import { rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { SystemError } from '../../../core/api.js'
import type { Owners } from '../unpack/filter.js'
import { start } from '../unpack/program.js'

/** How owners, devices and setuid bits of builds are kept here; or why they cannot be. */
export type Keeping = { readonly owners: Owners } | { readonly problem: SystemError }

const probe = '.attributes'

/** Tries what the file system of a directory can do. */
export async function keepingIn(folder: string): Promise<Keeping> {
  const file = join(folder, probe)
  await writeFile(file, '', { mode: 0o600 })
  try {
    const args = ['-n', 'user.rsync.%stat', '-v', '100600 0,0 0:0', file]
    if (await succeeds('setfattr', args)) return { owners: 'attributes' }
    if (await succeeds('fakeroot', ['-v'])) return { owners: 'fakeroot' }
  } finally {
    await rm(file, { force: true })
  }
  return {
    problem: new SystemError(
      'UNAVAILABLE',
      'builds cannot be published: either the program setfattr is not installed, or the disk of rsync-root keeps no attributes of users and fakeroot is not installed',
      { hint: 'install the packages attr and fakeroot: apt-get install attr fakeroot' },
    ),
  }
}

async function succeeds(program: 'setfattr' | 'fakeroot', args: readonly string[]): Promise<boolean> {
  try {
    const { signal } = new AbortController()
    const { code } = await start(program, args, { stdio: ['ignore', 'ignore', 'pipe'], signal }).ended
    return code === 0
  } catch (error) {
    if (error instanceof SystemError && error.code === 'PROGRAM_MISSING') return false
    throw error
  }
}
