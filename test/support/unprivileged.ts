/**
 * To be imported before anything else by a test file whose stories are those of a user who owns nothing. Run by root, the
 * file is run anew as such a user; in the process itself that cannot be had, for a Node whose libuv may use io_uring
 * refuses seteuid().
 */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmdirSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'

const clone = fileURLToPath(new URL('../../..', import.meta.url))

const asNobody = ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups', '--pdeathsig=KILL']

/** Whether other users may enter a folder and those above it. */
function isOpen(folder: string): boolean {
  const { mode } = statSync(folder)
  return (mode & 0o001) !== 0 && (dirname(folder) === folder || isOpen(dirname(folder)))
}

/** Runs a program and ends as it did. */
function become(words: readonly string[]): never {
  const [program = '', ...args] = words
  const { status, error } = spawnSync(program, args, { stdio: 'inherit' })
  if (error) throw error
  process.exit(status ?? 1)
}

if (process.geteuid?.() === 0) {
  const [, file = '', ...args] = process.argv
  if (isOpen(clone)) become([...asNobody, process.execPath, ...process.execArgv, file, ...args])
  // Below a home that is shut: seen from another place, where it can be by this process and its children alone.
  const seen = mkdtempSync(join(tmpdir(), 'sugar-clone-'))
  const alone = ['unshare', '--mount', '--kill-child']
  const isAlone = spawnSync('unshare', [...alone.slice(1), 'true']).status === 0
  process.once('exit', () => {
    // In a chroot there is no mount namespace to be had.
    if (!isAlone) spawnSync('umount', [seen])
    rmdirSync(seen)
  })
  const script = 'mount --bind "$0" "$1" && cd "$1" && shift && exec "$@"'
  const there = join(seen, relative(clone, file))
  const words = [...asNobody, process.execPath, ...process.execArgv, there, ...args]
  become([...(isAlone ? alone : []), 'sh', '-c', script, clone, seen, ...words])
}
