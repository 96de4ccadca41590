import { spawn } from 'node:child_process'
import { chmodSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Test } from 'tap'
import { generateKey } from '../../../sugaroid/index.js'
import { program, until } from '../core/server-process.js'
import { lacks, needs } from '../needs.js'
import { dsaSettings } from '../openssh.js'
import { temporaryDirectory } from '../temporary-directory.js'

/** What a real sshd needs before it can be started: it runs as root here, with a configuration of its own. */
export function canRunSshd(t: Pick<Test, 'fail' | 'pass'>): boolean {
  if (!needs(t, 'sshd', 'openssh-server')) return false
  if (process.getuid?.() === 0) return true
  lacks(t, 'needs root', 'sshd with its own configuration, and programs that it trusts, need root')
  return false
}

/** The program as an installed package has it: sshd runs it only where all folders above are root's alone. */
export function installedProgram(t: Pick<Test, 'teardown'>): string {
  const folder = mkdtempSync('/usr/local/lib/sugar-server-test-')
  chmodSync(folder, 0o755)
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  const path = join(folder, 'sugar-server')
  writeFileSync(path, `#!/bin/sh\nexec ${process.execPath} ${program} "$@"\n`, { mode: 0o755 })
  return path
}

/** Runs an sshd on 127.0.0.1 until the test ends. @param settings lines of sshd_config that say how keys are found */
export async function startSshd(
  t: Pick<Test, 'teardown'>,
  port: number,
  settings: readonly string[],
): Promise<void> {
  const folder = await temporaryDirectory(t)
  const hostKey = join(folder, 'host_key')
  writeFileSync(hostKey, (await generateKey('ed25519')).privateKey, { mode: 0o600 })
  // Its service makes this directory elsewhere.
  const separation = !existsSync('/run/sshd')
  if (separation) mkdirSync('/run/sshd', { mode: 0o755 })
  const file = join(folder, 'sshd_config')
  const lines = [
    ...[`Port ${port}`, 'ListenAddress 127.0.0.1', `HostKey ${hostKey}`, `PidFile ${folder}/pid`],
    ...['UsePAM no', 'StrictModes no', 'PermitRootLogin prohibit-password', 'PasswordAuthentication no'],
    ...[...dsaSettings, 'MaxStartups 100:30:300', ...settings, ''],
  ]
  writeFileSync(file, lines.join('\n'))
  const child = spawn('/usr/sbin/sshd', ['-D', '-e', '-f', file], { stdio: ['ignore', 'ignore', 'pipe'] })
  let said = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    said += text
  })
  const over = () => child.exitCode !== null || child.signalCode !== null
  t.teardown(async () => {
    child.kill('SIGTERM')
    await until(over, 'sshd to end')
    if (separation) rmSync('/run/sshd', { recursive: true, force: true })
  })
  await until(() => said.includes('listening') || over(), 'sshd to listen')
  if (over()) throw new Error(`sshd did not start: ${said}`)
}
