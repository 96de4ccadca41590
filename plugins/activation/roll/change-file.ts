import { randomBytes } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { open, readdir, rename, rm } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { fsyncDir, systemCode, unwritten } from '../../../core/api.js'
import type { Change } from './change.js'

/** Behind the last change, so that a file that is not whole is known. */
const end = '"end"'

/** Characters that are gathered before they are written. */
const chunk = 1 << 20

/**
 * Writes changes into a file of their own, whole or not at all. It holds uuids: it is for this user alone.
 * @returns the same changes, which hold on to nothing of the files that they were taken from
 * @throws SystemError NO_SPACE, NOT_WRITABLE
 */
export async function writeChanges(path: string, changes: readonly Change[]): Promise<Change[]> {
  const part = `${path}.${randomBytes(4).toString('hex')}.part`
  const copies: Change[] = []
  try {
    const file = await open(part, 'wx', 0o600)
    try {
      let text = ''
      for (const change of changes) {
        const line = JSON.stringify(change)
        copies.push(JSON.parse(line) as Change)
        text += `${line}\n`
        if (text.length < chunk) continue
        await file.writeFile(text)
        text = ''
      }
      await file.writeFile(`${text}${end}\n`)
      await file.sync()
    } finally {
      await file.close()
    }
    await rename(part, path)
  } catch (error) {
    await rm(part, { force: true })
    throw unwritten(path, error, { full: 'make room on the disk; nothing was changed' })
  }
  try {
    await fsyncDir(dirname(path))
  } catch (error) {
    // The next start must not make changes of which somebody was told that they failed.
    await rm(path, { force: true })
    throw unwritten(path, error, { full: 'make room on the disk; nothing was changed' })
  }
  return copies
}

const partForm = /^[0-9a-f]{8}\.part$/

/** Removes what a killed server had begun to write and nobody was told of. */
export async function removeParts(path: string): Promise<void> {
  const [folder, front] = [dirname(path), `${basename(path)}.`]
  for (const name of await readdir(folder))
    if (name.startsWith(front) && partForm.test(name.slice(front.length)))
      await rm(join(folder, name), { force: true })
}

/**
 * Reads what writeChanges() wrote, if it is there. A file that the disk damaged is put aside, since laptops must be
 * served whatever became of a list.
 */
export async function readChanges(path: string): Promise<{ changes: Change[]; damaged?: string }> {
  try {
    const changes: Change[] = []
    let rest = ''
    for await (const text of createReadStream(path, 'utf8') as AsyncIterable<string>) {
      const lines = `${rest}${text}`.split('\n')
      rest = lines.pop() ?? ''
      for (const line of lines) if (line !== end) changes.push(JSON.parse(line) as Change)
      if (lines.at(-1) === end) return { changes }
    }
    throw new SyntaxError('it has no end')
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return { changes: [] }
    if (!(error instanceof SyntaxError)) throw error
    const aside = `${path}.damaged-${new Date().toISOString().replace(/[:.]/g, '-')}`
    await rename(path, aside)
    return { changes: [], damaged: `changes that were under way are lost, the disk damaged them: ${aside}` }
  }
}
