import { execFileSync, spawnSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { chmodSync, chownSync, linkSync, mkdirSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs'
import { readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { Test } from 'tap'
import { cliHere } from '../core/cli-here.js'
import { type Finished, program, run, type Server, type Start, startServer } from '../core/server-process.js'
import { needs } from '../needs.js'
import { temporaryDirectory } from '../temporary-directory.js'
import { type File, md5 } from './upstream.js'

/** Whether this machine has what a whole school server with builds needs. */
export const equipped = (t: Test): boolean =>
  needs(t, 'rsync', 'rsync') &&
  needs(t, 'tar', 'tar') &&
  needs(t, 'xz', 'xz-utils') &&
  needs(t, 'bzip2', 'bzip2') &&
  needs(t, 'setfattr', 'attr')

/** A tree as an operating system has them: links, setuid, foreign owners, odd modes, and devices where root makes them. */
export async function systemTree(t: Test, size = 200_000, files = 3): Promise<string> {
  const tree = join(await temporaryDirectory(t), 'tree')
  const at = (...names: string[]) => join(tree, ...names)
  mkdirSync(at('bin'), { recursive: true })
  mkdirSync(at('var', 'empty'), { recursive: true })
  for (let number = 0; number < files; number += 1)
    writeFileSync(at('bin', `file ${number}`), noise(Math.ceil(size / files)))
  writeFileSync(at('bin', 'su'), 'su')
  linkSync(at('bin', 'su'), at('bin', 'sudo'))
  symlinkSync('/etc/passwd', at('passwd'))
  writeFileSync(at('shadow'), 'secret')
  if (process.getuid?.() === 0) {
    chownSync(at('bin', 'su'), 0, 1234)
    chownSync(at('var', 'empty'), 4321, 4321)
    execFileSync('mknod', [at('null'), 'c', '1', '3'])
    execFileSync('mkfifo', [at('fifo')])
  }
  chmodSync(at('bin', 'su'), 0o4755)
  chmodSync(at('shadow'), 0)
  chmodSync(at('var', 'empty'), 0o1777)
  for (const name of ['bin/su', 'var/empty', 'bin']) utimesSync(at(name), 1_000_000_000, 1_000_000_000)
  return tree
}

/** Bytes that no packer makes smaller. */
const noise = (size: number): Buffer => randomBytes(size)

/** A tree as it lies on a server: packed, with sum and manifest. */
export async function packedTree(t: Test, name: string, tree: string): Promise<Record<string, File>> {
  const file = join(await temporaryDirectory(t), `${name}-tree.tar.bz2`)
  execFileSync('tar', ['-cjf', file, '--numeric-owner', '-C', tree, '.'])
  const bytes = await readFile(file)
  const at = `/${name}-tree.tar.bz2`
  return {
    [at]: { bytes },
    [`${at}.md5`]: { bytes: Buffer.from(`${md5(bytes)}  ${name}-tree.tar.bz2\n`) },
    [`/${name}.contents`]: { bytes: Buffer.from(`{"build":"${name}"}\n`) },
  }
}

export interface SchoolServer extends Server {
  port: number
  /** Runs a client; `::build-885/` stands for a path on this server. */
  rsync(...words: string[]): Promise<Finished>
  /** Runs `sugar-server ...`. */
  command(...words: string[]): Promise<Finished>
  /** Runs `sugar-server upgrade ...` in this process. */
  upgrade(...words: string[]): Promise<Finished>
}

/** A school server that fetches builds, as a deployer starts it. */
export async function schoolServer(
  t: Test,
  sources: string,
  more: readonly string[] = [],
  start: Start = {},
) {
  const ports = ['--host', '127.0.0.1', '--httpd-port', '0', '--rsync-port', '0']
  const args = [
    ...['--plugins', 'rsync,upgrade', ...ports, '--upgrade-sources', sources],
    ...['--upgrade-keep-free', '0', ...more],
  ]
  const server = await startServer(t, { ...start, args })
  if (start.env?.FAKETIME !== undefined) await forgetClock(server.child.pid)
  const port = Number(new URL(await server.url('rsync')).port)
  const command = (...words: string[]) =>
    run(t, [process.execPath, program, ...words, '--root', server.root], { home: server.home })
  const school: SchoolServer = Object.assign(server, {
    port,
    command,
    rsync: (...words: string[]) =>
      run(t, ['rsync', ...words.map((word) => word.replace(/^::/, `rsync://127.0.0.1:${port}/`))]),
    upgrade: (...words: string[]) => cliHere(['upgrade', ...words, '--root', server.root]),
  })
  return school
}

/**
 * An environment in which it is later. Not faketime itself as a prefix: it stays between, and a server that it started
 * outlives a SIGKILL.
 */
export function later(minutes: number): Record<string, string> {
  const words = ['-f', '+1m', 'sh', '-c', 'printf %s "$LD_PRELOAD"']
  const LD_PRELOAD = execFileSync('faketime', words, { encoding: 'utf8' })
  return { LD_PRELOAD, FAKETIME: `+${minutes}m` }
}

/** Removes the names of the shared memory in which libfaketime keeps a process's clock: a SIGKILL would leave them. */
async function forgetClock(pid: number | undefined): Promise<void> {
  for (const name of ['faketime_shm', 'sem.faketime_sem'])
    await rm(`/dev/shm/${name}_${pid}`, { force: true })
}

/** What rsync sees differ between a module and a tree that root has unpacked; nothing when all is well. */
export function differences(port: number, module: string, tree: string): string {
  const args = ['-aHn', '--numeric-ids', '--delete', '--checksum', '--itemize-changes', '--no-motd']
  const { stdout, stderr, status } = spawnSync('rsync', [
    ...args,
    `rsync://127.0.0.1:${port}/${module}/root/`,
    `${tree}/`,
  ])
  return `${status === 0 ? '' : `ended with ${status}: `}${stdout}${stderr}`
}
