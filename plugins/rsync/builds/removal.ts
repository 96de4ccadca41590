import { lstat, opendir, rmdir, unlink } from 'node:fs/promises'
import { removeTree } from '../../../core/api.js'

const slash = Buffer.from('/')

/**
 * Removes a tree of ours, or what is in the place of one, such as a link: what that leads to stays. A large one takes a
 * slow disk minutes, for which no server that is to stop can wait.
 * @param signal ends it; what is left then is left
 * @throws what the disk says
 */
export async function remove(path: string, signal: AbortSignal): Promise<void> {
  try {
    if ((await lstat(path)).isDirectory()) await clear(Buffer.from(path), signal)
    else await unlink(path)
  } catch {
    if (signal.aborted) return
    // What is not there; directories that shut everybody out; disks that lose their place when names go.
    await removeTree(path)
  }
}

async function clear(folder: Buffer, signal: AbortSignal): Promise<void> {
  for await (const entry of await opendir(folder, { encoding: 'latin1', bufferSize: 256 })) {
    signal.throwIfAborted()
    const path = Buffer.concat([folder, slash, Buffer.from(entry.name, 'latin1')])
    if (entry.isDirectory()) await clear(path, signal)
    else await unlink(path)
  }
  await rmdir(folder)
}
