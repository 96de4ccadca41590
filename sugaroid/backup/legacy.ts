import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { isDirectory } from '../files.js'
import type { Account } from './account.js'
import { remotePath, remoteShell, runRsync, type Transfer } from './transfer.js'

/** How far the old client came. */
export interface LegacyTransfer extends Transfer {
  /** What it sent, by the names the server knows. */
  readonly sent: readonly string[]
  /** The directory for want of which it stopped before the end. */
  readonly missing?: string
}

/** What is sent, in this order: where it lies in the home, and the server's name for it. */
const parts = [
  ['default/datastore', 'datastore-current'],
  ['power-logs', 'power-logs'],
  ['Documents', 'documents'],
] as const

const completion = '/var/lib/ds-backup/completion'

async function sendMarker(home: string, account: Account, shell: string): Promise<Transfer> {
  const { serial } = account
  const folder = await mkdtemp(join(tmpdir(), 'sugaroid-'))
  try {
    const marker = join(folder, serial)
    await writeFile(marker, '')
    const to = remotePath(account, `${completion}/${serial}`)
    return await runRsync(home, ['-z', '-rlt', '--timeout', '10', '-T', '/tmp', '-e', shell, marker, to])
  } finally {
    await rm(folder, { recursive: true })
  }
}

/**
 * Sends what the client of OLPC XS sends, in its order and with its options: docs/reference/protocols.md: backup,
 * The transfer. It logs in as its serial number, and stops at the first directory that is missing, as many laptops
 * do that have no power-logs: the Journal is safe by then.
 */
export async function sendLegacy(home: string, account: Account): Promise<LegacyTransfer> {
  const shell = remoteShell(account, account.serial)
  const sent: string[] = []
  for (const [folder, name] of parts) {
    if (!(await isDirectory(join(home, folder)))) return { code: 0, said: '', sent, missing: folder }
    const options = ['-z', '-rlt', '--partial', '--delete', '--timeout=160', '-e', shell]
    const { code, said } = await runRsync(home, [...options, `${folder}/`, remotePath(account, name)])
    if (code !== 0) return { code, said, sent }
    sent.push(name)
  }
  const marked = await sendMarker(home, account, shell)
  return { ...marked, sent: marked.code === 0 ? [...sent, 'marker'] : sent }
}
