import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Test } from 'tap'
import { temporaryDirectory } from './temporary-directory.js'

/** Has a script of this name come before the real program, until the test ends. @returns ends it now */
export async function shadow(t: Pick<Test, 'teardown'>, name: string, script: string): Promise<() => void> {
  const before = process.env.PATH
  const folder = join(await temporaryDirectory(t), 'bin')
  await mkdir(folder)
  await writeFile(join(folder, name), `#!/bin/sh\n${script}\n`, { mode: 0o755 })
  const release = () => {
    process.env.PATH = before
  }
  t.teardown(release)
  process.env.PATH = `${folder}:${before}`
  return release
}

/** What setfattr says where attributes cannot be had. */
export const noAttributes = 'echo "setfattr: Operation not supported" >&2; exit 1'
