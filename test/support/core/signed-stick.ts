import { spawnSync } from 'node:child_process'
import { mkdir, readdir, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { Test } from 'tap'
import { type Medium, openMedium } from '../../../core/api.js'
import { SugarError } from '../../../core/errors.js'
import { temporaryDirectory } from '../temporary-directory.js'

export const limit = 1024 * 1024

/** A stick with files, and the manifest that sha1sum makes of them. */
export async function stickWith(
  t: Pick<Test, 'teardown'>,
  files: Record<string, string | Buffer>,
): Promise<string> {
  const folder = await temporaryDirectory(t)
  for (const [name, content] of Object.entries(files)) {
    await mkdir(dirname(join(folder, name)), { recursive: true })
    await writeFile(join(folder, name), content)
  }
  await writeFile(join(folder, 'manifest.sha1'), sha1sum(folder, Object.keys(files)))
  return folder
}

/** What the program sha1sum says of files. */
export function sha1sum(folder: string, names: readonly string[], ...options: string[]): string {
  if (names.length === 0) return ''
  const { stdout, stderr, status } = spawnSync('sha1sum', [...options, '--', ...names], {
    cwd: folder,
    encoding: 'utf8',
  })
  if (status !== 0) throw new Error(stderr)
  return stdout
}

/** Opens a stick that nobody needs to have signed. */
export const open = (
  directory: string,
  spec: { folder?: string; signal?: AbortSignal } = {},
): Promise<Medium> => openMedium(directory, { security: false, keys: '', ...spec })

/** The code and the message of the error of this house that something ends in. */
export async function refusal(work: Promise<unknown>): Promise<string> {
  try {
    await work
  } catch (error) {
    if (error instanceof SugarError) return `${error.code}: ${error.message}`
    throw error
  }
  return 'nothing was refused'
}

/** The names in a directory. */
export const namesIn = async (folder: string): Promise<string[]> => (await readdir(folder)).sort()
