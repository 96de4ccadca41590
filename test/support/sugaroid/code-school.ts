import { spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { mkdir, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import ssh2, { type Connection } from 'ssh2'
import type { Test } from 'tap'
import { generateKey } from '../../../sugaroid/index.js'
import { temporaryDirectory } from '../temporary-directory.js'
import { peer, reply } from './fake-servers.js'
import type { School } from './sshd-school.js'

/** Runs the one command of a connection in the tree. */
function serve(client: Connection, tree: string, keys: () => string): void {
  client.on('error', () => undefined)
  client.on('authentication', (asked) => {
    if (asked.method !== 'publickey' || !keys().includes(asked.key.data.toString('base64')))
      return asked.reject(['publickey'])
    const known = ssh2.utils.parseKey(asked.key.data)
    const isSigned =
      !(known instanceof Error) &&
      asked.blob !== undefined &&
      asked.signature !== undefined &&
      known.verify(asked.blob, asked.signature, asked.hashAlgo) === true
    if (asked.signature === undefined || isSigned) asked.accept()
    else asked.reject()
  })
  client.on('session', (accept) =>
    accept().on('exec', (accept, _, { command }) => {
      const channel = accept()
      const child = spawn('sh', ['-c', `exec ${command}`], { cwd: tree, stdio: 'pipe' })
      child.stdin.on('error', () => undefined)
      channel.pipe(child.stdin)
      child.stdout.pipe(channel, { end: false })
      child.stderr.pipe(channel.stderr, { end: false })
      child.once('close', (code) => {
        channel.exit(code ?? 1)
        channel.end()
      })
    }),
  )
}

/** A throw-away school server as that of school.ts, with an ssh in code: it takes DSA keys whatever OpenSSH is here. */
export async function codeSchool(t: Test): Promise<School & { close(): Promise<void> }> {
  const folder = await temporaryDirectory(t)
  const tree = join(folder, 'tree')
  await mkdir(join(tree, 'snapshots'), { recursive: true })
  await symlink('../current', join(tree, 'snapshots', 'latest'))
  const keys = join(folder, 'authorized_keys')
  await writeFile(keys, '')
  const { privateKey } = await generateKey('ed25519')
  const server = new ssh2.Server({ hostKeys: [privateKey] }, (client) =>
    serve(client, tree, () => readFileSync(keys, 'utf8')),
  )
  server.listen(0, '127.0.0.1')
  await new Promise((resolve) => server.once('listening', resolve))
  t.teardown(() => server.close())
  return {
    tree,
    ssh: (server.address() as { port: number }).port,
    http: await peer(t, (socket) => socket.end(reply('', 'HTTP/1.1 200 OK'))),
    commands: async () => [],
    close: () => new Promise((resolve) => server.close(() => resolve())),
  }
}
