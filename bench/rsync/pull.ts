import { rm } from 'node:fs/promises'
import { run } from '../support/run.js'
import type { Taken } from '../support/turns.js'
import type { Side } from './stage.js'

/** Fetches with the client that everybody has. @param to is made, and removed again */
export async function pull({ port }: Side, path: string, to: string): Promise<Taken> {
  const { seconds } = await run('rsync', ['-aH', '--numeric-ids', `rsync://127.0.0.1:${port}/${path}`, to])
  await rm(to, { recursive: true })
  return { seconds }
}
