import { constants } from 'node:fs'
import { access, lstat, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { HomeError } from '../errors.js'
import { makeFolders } from '../files.js'
import { namesIn } from '../journal/layout.js'

/** Why the system does not let a build come to a directory, by its codes. */
const faults: Readonly<Record<string, string>> = {
  EACCES: 'this user may not write there',
  EPERM: 'this user may not write there',
  EROFS: 'its file system is read-only',
  ENOSPC: 'its disk is full',
  EDQUOT: "this user's share of its disk is full",
  ENOENT: 'nobody can make directories there',
  ENOTDIR: 'there is a file in the way',
  EEXIST: 'there is something else in its place',
  ELOOP: 'its links lead in a circle',
  ENAMETOOLONG: 'its name is too long',
}

/** What an rsync that was killed leaves of a manifest; of a tree the next one removes it. */
const leftover = /^\.contents\.[A-Za-z0-9]{6}$/

const elsewhere = 'name another directory with --to'

/**
 * Looks whether a build may come to a directory: one that is not there yet, is empty, or holds an older build. It may be
 * reached by links, but nothing in it is written through one. Throws a HomeError that says why not.
 */
export async function checkPlace(directory: string): Promise<void> {
  await allowed(directory, async () => {
    if ((await kindOf(directory)) === 'nothing') return
    if (!(await stat(directory).catch(leadsNowhere(directory))).isDirectory())
      throw new HomeError(`${directory} is no directory`, elsewhere)
    const names = await namesIn(directory)
    // The manifest comes first: a tree without one is somebody's, and would be cleared for the build.
    if (names.includes('root') && !names.includes('contents'))
      throw new HomeError(`${join(directory, 'root')} has no manifest beside it, as builds have`, elsewhere)
    for (const name of names) {
      if (leftover.test(name)) continue
      if (name !== 'contents' && name !== 'root')
        throw new HomeError(`${directory} holds something that is no build: ${name}`, elsewhere)
      const wanted = name === 'contents' ? 'file' : 'directory'
      if ((await kindOf(join(directory, name))) !== wanted)
        throw new HomeError(
          `${join(directory, name)} is no ${wanted}, as it is in a build`,
          `move it away, or ${elsewhere}`,
        )
    }
    await access(directory, constants.W_OK | constants.X_OK)
  })
}

/** Makes the directory where it is not there. Throws a HomeError that says why it cannot be. */
export async function makePlace(directory: string): Promise<void> {
  await allowed(directory, async () => {
    makeFolders(directory)
    for (const name of await namesIn(directory)) if (leftover.test(name)) await rm(join(directory, name))
  })
}

async function kindOf(path: string): Promise<'nothing' | 'file' | 'directory' | 'other'> {
  try {
    const found = await lstat(path)
    return found.isFile() ? 'file' : found.isDirectory() ? 'directory' : 'other'
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return 'nothing'
    throw error
  }
}

const leadsNowhere = (directory: string) => (error: NodeJS.ErrnoException) => {
  if (error.code !== 'ENOENT') throw error
  throw new HomeError(`${directory} is a link that leads nowhere`, elsewhere)
}

async function allowed(directory: string, work: () => Promise<unknown>): Promise<void> {
  try {
    await work()
  } catch (error) {
    const fault = error instanceof Error && 'code' in error ? faults[String(error.code)] : undefined
    if (fault === undefined) throw error
    throw new HomeError(`no build can come to ${directory}: ${fault}`, `mend that, or ${elsewhere}`)
  }
}
