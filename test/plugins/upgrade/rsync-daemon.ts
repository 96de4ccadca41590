import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { connect, createServer } from 'node:net'
import { join } from 'node:path'
import type { Test } from 'tap'
import { until } from '../../system/server.js'
import { temporaryDirectory } from './stand-in.js'

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  await once(server, 'close')
  if (address === null || typeof address === 'string') throw new Error('no port')
  return address.port
}

const answers = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1')
    const end = (open: boolean) => {
      socket.destroy()
      resolve(open)
    }
    socket.on('connect', () => end(true)).on('error', () => end(false))
  })

/** Starts the machine's own rsync as a daemon. @param stanzas text of rsyncd.conf, modules and options @returns its port */
export async function rsyncDaemon(t: Pick<Test, 'teardown'>, stanzas: string): Promise<number> {
  const folder = await temporaryDirectory(t)
  const port = await freePort()
  const file = join(folder, 'rsyncd.conf')
  const general = `use chroot = no\nuid = ${process.getuid?.()}\ngid = ${process.getgid?.()}\nlog file = ${folder}/log\n`
  await writeFile(file, `${general}${stanzas}`)
  const args = ['--daemon', '--no-detach', `--port=${port}`, '--address=127.0.0.1', `--config=${file}`]
  const daemon: ChildProcess = spawn('rsync', args, { stdio: 'ignore' })
  t.teardown(async () => {
    daemon.kill()
    if (daemon.exitCode === null && daemon.signalCode === null) await once(daemon, 'exit')
  })
  await until(() => answers(port), 'the rsync daemon')
  return port
}
