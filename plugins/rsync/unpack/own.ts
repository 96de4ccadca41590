import { open } from 'node:fs/promises'
import { modeOf } from './entry.js'
import { unwritten } from './fault.js'
import { start } from './program.js'

/**
 * Gives each entry of a tree its attribute `user.rsync.%stat`. That changes no time that anybody asks for.
 * @param notes what unpackTree() wrote @param to the tree
 * @throws SystemError NO_SPACE, NOT_WRITABLE, PROGRAM_MISSING; the reason of `signal`
 */
export async function giveAttributes(notes: string, to: string, signal: AbortSignal): Promise<void> {
  // Opened here: setfattr is content with a file that is not there.
  const file = await open(notes, 'r')
  try {
    const stdio = [file.fd, 'ignore', 'pipe'] as const
    const ended = await start('setfattr', ['--restore=-'], { stdio: [...stdio], cwd: to, signal }).ended
    if (ended.code !== 0 || ended.said !== '') throw unwritten(to, ended)
  } finally {
    await file.close()
  }
}

/** What is not of a tree, but around it, looks as anybody's would who publishes it: root's, for all to read. */
export type Around = 'directory' | 'file'

/** Type and permissions of it in one, octal. */
export const lookOf = (kind: Around): string =>
  modeOf({ kind, mode: kind === 'directory' ? 0o755 : 0o644 }).toString(8)

/**
 * Has something around a tree look so. On the disk it is the server's alone.
 * @throws as giveAttributes() does
 */
export async function giveLook(path: string, kind: Around, signal: AbortSignal): Promise<void> {
  const args = ['-n', 'user.rsync.%stat', '-v', `${lookOf(kind)} 0,0 0:0`, '--', path]
  const ended = await start('setfattr', args, { stdio: ['ignore', 'ignore', 'pipe'], signal }).ended
  if (ended.code !== 0 || ended.said !== '') throw unwritten(path, ended)
}
