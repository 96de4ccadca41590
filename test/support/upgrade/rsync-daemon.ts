import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFile, writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { join } from 'node:path'
import type { Test } from 'tap'
import { until } from '../core/server-process.js'
import { freePort } from '../free-port.js'
import { temporaryDirectory } from '../temporary-directory.js'

const answers = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1')
    const end = (open: boolean) => {
      socket.destroy()
      resolve(open)
    }
    socket.on('connect', () => end(true)).on('error', () => end(false))
  })

/** The machine's own rsync as a daemon. */
export interface RsyncDaemon {
  readonly port: number
  /** Ends it and all that it serves, at once. */
  kill(): Promise<void>
  /** Bytes that it has sent to each client that has gone, in order. */
  sent(): Promise<number[]>
}

/** @param stanzas text of rsyncd.conf, modules and options @returns its port */
export const rsyncDaemon = async (t: Pick<Test, 'teardown'>, stanzas: string): Promise<number> =>
  (await startRsyncDaemon(t, stanzas)).port

/** Starts one. @param speed kilobytes a second @param port a free one, unless it is given */
export async function startRsyncDaemon(
  t: Pick<Test, 'teardown'>,
  stanzas: string,
  { speed, port: wanted }: { speed?: number; port?: number } = {},
): Promise<RsyncDaemon> {
  const folder = await temporaryDirectory(t)
  const port = wanted ?? (await freePort())
  const file = join(folder, 'rsyncd.conf')
  const log = join(folder, 'log')
  const general = `use chroot = no\nuid = ${process.getuid?.()}\ngid = ${process.getgid?.()}\nlog file = ${log}\n`
  await writeFile(file, `${general}${stanzas}`)
  const args = ['--daemon', '--no-detach', `--port=${port}`, '--address=127.0.0.1', `--config=${file}`]
  if (speed !== undefined) args.push(`--bwlimit=${speed}`)
  const daemon: ChildProcess = spawn('rsync', args, { stdio: 'ignore', detached: true })
  const { pid } = daemon
  if (pid === undefined) throw new Error('rsync cannot be started')
  const kill = async () => {
    if (daemon.exitCode !== null || daemon.signalCode !== null) return
    // Those that serve clients are of its group.
    process.kill(-pid, 'SIGKILL')
    await once(daemon, 'exit')
  }
  t.teardown(kill)
  await until(() => answers(port), 'the rsync daemon')
  const sent = async () =>
    [...(await readFile(log, 'utf8')).matchAll(/ sent ([0-9]+) bytes /g)].map(([, bytes]) => Number(bytes))
  return { port, kill, sent }
}
