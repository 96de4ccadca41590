import type { Chapter } from '../../core/api.js'
import type { Shelves } from './documents.js'

/** Registration's part of `sugar-server status`: laptops that must register again. */
export async function statusOf({ users }: Pick<Shelves, 'users'>): Promise<Chapter | undefined> {
  const noBackupAddress = await users.count({ lacks: 'backup' })
  if (noBackupAddress === 0) return undefined
  const laptops = noBackupAddress === 1 ? '1 laptop' : `${noBackupAddress} laptops`
  return {
    lines: [
      `no backup  ${laptops} registered while backup did not run, and must register again: "id list" names them`,
    ],
    facts: { noBackupAddress },
  }
}
