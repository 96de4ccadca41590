import { createReadStream } from 'node:fs'
import { lstat, open } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { modeOf } from './entry.js'
import { unwritten } from './fault.js'
import { pathIn, statIn } from './notes.js'
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

/**
 * Has what is not of a tree, but around it, look as anybody's would who publishes it: root's, for all to read. On the
 * disk it is the server's alone.
 * @throws as giveAttributes() does
 */
export async function giveLook(path: string, kind: 'directory' | 'file', signal: AbortSignal): Promise<void> {
  const mode = modeOf({ kind, mode: kind === 'directory' ? 0o755 : 0o644 }).toString(8)
  const args = ['-n', 'user.rsync.%stat', '-v', `${mode} 0,0 0:0`, '--', path]
  const ended = await start('setfattr', args, { stdio: ['ignore', 'ignore', 'pipe'], signal }).ended
  if (ended.code !== 0 || ended.said !== '') throw unwritten(path, ended)
}

/**
 * Writes a state file of fakeroot for a tree: what `fakeroot -i` takes. The numbers of files in it do not change when
 * the tree is moved on its disk.
 * @param notes what unpackTree() wrote @param to the tree @param state a file that is not there yet
 */
export async function writeState(
  notes: string,
  to: string,
  state: string,
  signal: AbortSignal,
): Promise<void> {
  const file = await open(state, 'wx', 0o600)
  try {
    let text = ''
    for await (const line of stateLines(notes, to)) {
      signal.throwIfAborted()
      text += line
      if (text.length < 64 * 1024) continue
      await file.writeFile(text)
      text = ''
    }
    await file.writeFile(text)
    await file.sync()
  } finally {
    await file.close()
  }
}

async function* stateLines(notes: string, to: string): AsyncGenerator<string> {
  let path = Buffer.from(to)
  for await (const line of createInterface({ input: createReadStream(notes, 'latin1') })) {
    const named = pathIn(line)
    if (named !== undefined) path = Buffer.concat([Buffer.from(join(to, '/')), Buffer.from(named, 'latin1')])
    const stat = statIn(line)
    if (stat === undefined) continue
    const { dev, ino, nlink } = await lstat(path, { bigint: true })
    const { mode, major, minor, uid, gid } = stat
    const where = `dev=${dev.toString(16)},ino=${ino}`
    yield `${where},mode=${mode},uid=${uid},gid=${gid},nlink=${nlink},rdev=${deviceOf(major, minor)}\n`
  }
}

/** A device's number as Linux counts them: makedev(3). */
const deviceOf = (major: number, minor: number): number =>
  (major << 8) | (minor & 0xff) | ((minor & ~0xff) << 12)
