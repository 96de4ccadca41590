import { chmod, chown, link, mkdir, symlink, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Test } from 'tap'
import { temporaryDirectory } from '../temporary-directory.js'
import { rsyncDaemon } from '../upgrade/rsync-daemon.js'

export const program = fileURLToPath(new URL('../../../sugaroid/bin/sugaroid.js', import.meta.url))

/** A build with what a tree may hold: a setuid program of another user, a second name, a link. */
export async function build(t: Test): Promise<string> {
  const path = join(await temporaryDirectory(t), '885')
  await mkdir(join(path, 'root', 'bin'), { recursive: true })
  await writeFile(join(path, 'contents'), '{"name":"885"}')
  await writeFile(join(path, 'root', 'bin', 'su'), Buffer.alloc(100_000, 1))
  if (process.getuid?.() === 0) await chown(join(path, 'root', 'bin', 'su'), 1234, 4321)
  await chmod(join(path, 'root', 'bin', 'su'), 0o4711)
  await link(join(path, 'root', 'bin', 'su'), join(path, 'root', 'bin', 'sudo'))
  await symlink('/dev/null', join(path, 'root', 'null'))
  return path
}

/** The same, as rsync's own daemon serves it. */
export const served = async (t: Test, path: string, more = '') => ({
  host: '127.0.0.1',
  port: await rsyncDaemon(t, `${more}[build-885]\npath = ${path}\ncomment = OLPC 885\n`),
})

/** A server that says the same to everyone. */
export async function saying(t: Test, text: string): Promise<string> {
  const server = createServer((socket) => socket.on('error', () => undefined).end(text))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => server.close())
  const address = server.address()
  return `127.0.0.1:${typeof address === 'object' ? address?.port : ''}`
}
