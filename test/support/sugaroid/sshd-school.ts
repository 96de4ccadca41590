import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmod, mkdir, readFile, symlink, writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { userInfo } from 'node:os'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import type { Test } from 'tap'
import { generateKey, type KeyType, openIdentity, registerLaptop } from '../../../sugaroid/index.js'
import { freePort } from '../free-port.js'
import { dsaSettings } from '../openssh.js'
import { temporaryDirectory } from '../temporary-directory.js'
import { canned, type Peer, peer, reply, struct } from './fake-servers.js'

/** A throw-away school server: OpenSSH with a forced command, and somebody who answers questions over HTTP. */
export interface School {
  /** What laptops have sent, by the names of their destinations. */
  readonly tree: string
  readonly ssh: number
  /** Answers the questions of laptops. */
  readonly http: Peer
  /** The commands that came over ssh, in order. */
  commands(): Promise<string[]>
}

async function untilListening(port: number): Promise<void> {
  for (let attempt = 0; attempt < 200; attempt++) {
    const socket = connect(port, '127.0.0.1')
    const open = await once(socket, 'connect').then(
      () => true,
      () => false,
    )
    socket.destroy()
    if (open) return
    await setTimeout(25)
  }
  throw new Error('sshd does not listen')
}

async function startSshd(t: Test, folder: string): Promise<number> {
  const port = await freePort()
  await mkdir('/run/sshd', { recursive: true }).catch(() => undefined) // needed by root's sshd only
  const { privateKey } = await generateKey('ed25519')
  await writeFile(join(folder, 'host_key'), privateKey, { mode: 0o600 })
  const settings = [
    `Port ${port}`,
    'ListenAddress 127.0.0.1',
    `HostKey ${folder}/host_key`,
    `AuthorizedKeysFile ${folder}/authorized_keys`,
    'PidFile none',
    'UsePAM no',
    'StrictModes no',
    'PermitRootLogin yes',
    'PasswordAuthentication no',
    ...dsaSettings,
  ]
  await writeFile(join(folder, 'sshd_config'), `${settings.join('\n')}\n`)
  const sshd = spawn('/usr/sbin/sshd', ['-D', '-e', '-f', join(folder, 'sshd_config')], { stdio: 'ignore' })
  t.teardown(async () => {
    sshd.kill()
    if (sshd.exitCode === null && sshd.signalCode === null) await once(sshd, 'exit')
  })
  await untilListening(port)
  return port
}

/** The forced command: notes what was asked for and runs it in the tree; the marker's place is in there, too. */
const door = (folder: string): string => `#!/bin/sh
set -f
printf '%s\\n' "$SSH_ORIGINAL_COMMAND" >> ${folder}/commands
cd ${folder}/tree || exit 1
[ -e ${folder}/closed ] && { echo 'the disk is full' >&2; exit 1; }
exec $(printf %s "$SSH_ORIGINAL_COMMAND" | sed s,/var/lib/ds-backup/completion/,,)
`

/** Opens the school. @param answers HTTP replies, one for each question; the last one again for all that follow */
export async function school(t: Test, answers: readonly string[]): Promise<School> {
  const folder = await temporaryDirectory(t)
  await mkdir(join(folder, 'tree', 'snapshots'), { recursive: true })
  await symlink('../current', join(folder, 'tree', 'snapshots', 'latest'))
  await writeFile(join(folder, 'authorized_keys'), '')
  await writeFile(join(folder, 'door'), door(folder))
  await chmod(join(folder, 'door'), 0o755)
  const http = await peer(t, (socket, number) => {
    const head = answers[Math.min(number, answers.length) - 1] ?? ''
    socket.end(reply(/ 4\d\d /.test(head) ? '<html>\n<p>no such laptop</p></html>' : '', head))
  })
  return {
    tree: join(folder, 'tree'),
    ssh: await startSshd(t, folder),
    http,
    async commands() {
      const text = await readFile(join(folder, 'commands'), 'utf8').catch(() => '')
      return text.split('\n').filter(Boolean)
    },
  }
}

/** From now on the school ends whatever a laptop begins, with a word of why. */
export const close = (at: School): Promise<void> => writeFile(join(at.tree, '..', 'closed'), '')

export const user = userInfo().username

/** Registers the laptop in `home` at the school; it is let in from then on. @returns the home */
export async function enrol(t: Test, at: School, home: string, key: KeyType = 'ed25519'): Promise<string> {
  const config =
    `<member><name>config</name><value><struct>` +
    `<member><name>backup-url</name><value>ssh://${user}@127.0.0.1:${at.ssh}/current</value></member>` +
    `<member><name>backup-port</name><value>${at.http.port}</value></member></struct></value></member>`
  const words = { success: 'OK', jabberserver: '127.0.0.1', backupurl: `${user}@127.0.0.1:current` }
  const server = await canned(t, reply(struct(words, config)))
  await registerLaptop(home, { server, serial: user, key })
  const { keyName, pubkey } = await openIdentity(home)
  const folder = join(at.tree, '..')
  await writeFile(join(folder, 'authorized_keys'), `restrict,command="${folder}/door" ${keyName} ${pubkey}\n`)
  return home
}
