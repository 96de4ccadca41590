import { spawn, spawnSync } from 'node:child_process'
import { SystemError } from '../errors.js'
import { diskError, diskFaultIn } from './disk-fault.js'

/** Characters of the program's complaint that are kept. */
const mostSaid = 1000

/** Milliseconds after which a caller that cannot be told to stop gives up. */
const longest = 600_000

const args = (path: string): string[] => ['-f', path]
const env = () => ({ PATH: process.env.PATH, LC_ALL: 'C' })

/**
 * Has everything that was written to a file system so far written to its disk, as syncfs(2) does; by `sync -f` of
 * coreutils. One flush for thousands of files, where an fsync for each takes minutes.
 * @param path any file or directory on it
 * @param signal ends it. A process that the kernel holds in the call ends later: this settles when it has
 * @throws SystemError NO_SPACE, DISK_FAILING, NOT_WRITABLE; the signal's reason
 */
export function syncFileSystem(path: string, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    signal?.throwIfAborted()
    const sync = spawn('sync', args(path), { env: env(), stdio: ['ignore', 'ignore', 'pipe'] })
    let said = ''
    sync.stderr.setEncoding('utf8').on('data', (text: string) => {
      said = (said + text).slice(-mostSaid)
    })
    const kill = () => sync.kill('SIGKILL')
    signal?.addEventListener('abort', kill, { once: true })
    sync.once('error', (error) => {
      signal?.removeEventListener('abort', kill)
      reject(unsynced(path, error.message))
    })
    sync.once('close', (code, killedBy) => {
      signal?.removeEventListener('abort', kill)
      if (code === 0) resolve()
      else if (signal?.aborted === true) reject(signal.reason)
      else reject(unsynced(path, said || `"sync" ended with ${killedBy ?? code}`))
    })
  })
}

/** The same, for a process that has nothing else to do. @throws SystemError NO_SPACE, DISK_FAILING, NOT_WRITABLE */
export function syncFileSystemSync(path: string): void {
  const { status, signal, stderr, error } = spawnSync('sync', args(path), {
    ...{ env: env(), timeout: longest, killSignal: 'SIGKILL', encoding: 'utf8' },
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  if (status !== 0)
    throw unsynced(path, (error?.message ?? stderr) || `"sync" ended with ${signal ?? status}`)
}

function unsynced(path: string, why: string): SystemError {
  const said = why.trim().slice(0, 300)
  const fault = diskFaultIn(said)
  if (fault !== undefined) return diskError(path, fault)
  return new SystemError('NOT_WRITABLE', `${path} cannot be written to the disk: ${said}`, {
    hint: 'look at the disk: "dmesg" tells what is wrong with it',
  })
}
