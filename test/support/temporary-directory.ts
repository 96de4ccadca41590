import { mkdtempSync, rmSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Test } from 'tap'

const prefix = join(tmpdir(), 'sugar-test-')

/** A new directory, which is removed when the test ends. */
export async function temporaryDirectory(t: Pick<Test, 'teardown'>): Promise<string> {
  const path = await mkdtemp(prefix)
  t.teardown(() => rm(path, { recursive: true, force: true, maxRetries: 5 }))
  return path
}

/** The same, at once. */
export function temporaryDirectorySync(t: Pick<Test, 'teardown'>): string {
  const path = mkdtempSync(prefix)
  t.teardown(() => rmSync(path, { recursive: true, force: true, maxRetries: 5 }))
  return path
}
