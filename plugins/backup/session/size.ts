import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { temporaryOfLive } from '../archive/layout.js'

/** How much there is in a folder. */
export interface Size {
  /** Of all files together, as long as they say they are. */
  readonly bytes: number
  /** Files, directories and links. */
  readonly files: number
}

/**
 * Counts what is below a folder, by a program of its own: 32,000 files take a tenth of a second, in which nobody else
 * waits. What comes and goes meanwhile is counted or not, and what is not whole yet is not.
 */
export async function sizeOf(folder: string): Promise<Size> {
  const unfinished = ['-path', join(folder, temporaryOfLive), '-prune']
  const find = spawn('find', [folder, ...unfinished, '-o', '-mindepth', '1', '-printf', '%y %s\\n'], {
    env: { PATH: process.env.PATH, LC_ALL: 'C' },
    stdio: ['ignore', 'pipe', 'ignore'],
  })
  const ended = once(find, 'close')
  ended.catch(() => undefined)
  let bytes = 0
  let files = 0
  let rest = ''
  find.stdout.setEncoding('latin1')
  for await (const text of find.stdout) {
    const lines = (rest + String(text)).split('\n')
    rest = lines.pop() ?? ''
    files += lines.length
    for (const line of lines) if (line.startsWith('f ')) bytes += Number(line.slice(2))
  }
  await ended
  return { bytes, files }
}
