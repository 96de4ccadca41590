import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { temporaryOfLive } from '../archive/layout.js'
import { type Kind, weightOf } from '../archive/weight.js'

/** How much there is in a folder. */
export interface Size {
  /** Of the disk: see weightOf(). */
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
  const find = spawn('find', [folder, ...unfinished, '-o', '-mindepth', '1', '-printf', '%y %s %P\\0'], {
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
    const rows = (rest + String(text)).split('\0')
    rest = rows.pop() ?? ''
    files += rows.length
    for (const row of rows) bytes += weightOfRow(row)
  }
  await ended
  return { bytes, files }
}

const kinds: Readonly<Record<string, Kind>> = { f: 'file', d: 'directory', l: 'link' }

/** @param row `TYPE SIZE PATH` */
function weightOfRow(row: string): number {
  const end = row.indexOf(' ', 2)
  const name = row.length - Math.max(end, row.lastIndexOf('/')) - 1
  return weightOf(kinds[row[0] ?? ''] ?? 'other', Number(row.slice(2, end)), name)
}
