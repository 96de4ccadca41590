import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { upgrade } from '../../../sugaroid/index.js'
import { until } from '../../support/core/server-process.js'
import { needs } from '../../support/needs.js'
import { sugaroid } from '../../support/sugaroid/fake-servers.js'
import { build, program, served } from '../../support/sugaroid/served-build.js'
import { fetchingServer, large } from '../../support/sugaroid/slow-line.js'
import { temporaryDirectory } from '../../support/temporary-directory.js'

t.setTimeout(300_000)

t.test('on a screen one line says how far it is, and Ctrl-C gets an answer', async (t) => {
  if (!needs(t, 'rsync', 'rsync') || !needs(t, 'script', 'bsdutils')) return
  const { host, port } = await large(t, 300_000)
  const to = await temporaryDirectory(t)
  const words = `${process.execPath} ${program} upgrade 885 --server ${host}:${port} --to ${to}`
  const script = spawn('script', ['-qec', words, '/dev/null'], { stdio: ['pipe', 'pipe', 'inherit'] })
  let screen = ''
  script.stdout.setEncoding('utf8').on('data', (text: string) => {
    screen += text
  })
  await until(() => /\r\u001b\[K {2}[1-9]\d %, \d\.\d MB$/.test(screen), 'a line that is written over')
  script.stdin.write('\x03')
  const [code] = await once(script, 'close')
  t.equal(code, 130)
  t.match(screen, /\r\u001b\[KInterrupted\.\r\n {2}so far {2}\S+\r\n.*not sent twice\r\n$/)
  t.same(await processesOn(to), [])
})

/** Processes whose command line names a directory. */
async function processesOn(directory: string): Promise<string[]> {
  const found: string[] = []
  for (const id of await readdir('/proc')) {
    if (!/^\d+$/.test(id)) continue
    const line = await readFile(`/proc/${id}/cmdline`, 'utf8').catch(() => '')
    if (line.includes(directory)) found.push(`${id} ${line.replaceAll('\0', ' ')}`)
  }
  return found
}

/** Bytes of a file that is there in part, under whatever name. */
async function arrived(directory: string): Promise<number> {
  const names = await readdir(directory).catch(() => [])
  const sizes = names.filter((name) => name.includes('vmlinuz')).map((name) => stat(join(directory, name)))
  return Math.max(0, ...(await Promise.all(sizes)).map(({ size }) => size))
}

for (const signal of ['SIGTERM', 'SIGHUP'] as const) {
  t.test(`${signal} takes rsync along, and what has come is not sent again`, async (t) => {
    if (!needs(t, 'rsync', 'rsync')) return
    const line = await large(t, 700_000)
    const to = await temporaryDirectory(t)
    const words = ['upgrade', '885', '--server', `${line.host}:${line.port}`, '--to', to]
    const child = spawn(process.execPath, [program, ...words], { stdio: 'ignore' })
    await until(async () => (await arrived(join(to, 'root'))) > 1_000_000, 'half of it')
    child.kill(signal)
    const [code] = await once(child, 'close')
    t.equal(code, { SIGTERM: 143, SIGHUP: 129 }[signal])
    t.same(await processesOn(to), [])
    const before = await arrived(join(to, 'root'))
    t.ok(before > 1_000_000, `${before} bytes stay`)
    line.bytes = 0
    t.match(await sugaroid(...words), { code: 0 })
    t.ok(line.bytes < 2_100_000 - before + 100_000, `${line.bytes} bytes came after ${before}`)
  })
}

t.test('SIGKILL takes rsync along, while it waits and while it writes', async (t) => {
  if (!needs(t, 'rsync', 'rsync') || !needs(t, 'setpriv', 'util-linux')) return
  const servers = [
    { ...(await fetchingServer(t, 600_000, '')), hasBegun: async () => true },
    { ...(await large(t, 100_000)), hasBegun: async (to: string) => (await arrived(join(to, 'root'))) > 0 },
  ]
  for (const { host, port, hasBegun } of servers) {
    const to = await temporaryDirectory(t)
    const words = ['upgrade', '885', '--server', `${host}:${port}`, '--to', to]
    const child = spawn(process.execPath, [program, ...words], { stdio: 'ignore' })
    const others = async () => (await processesOn(to)).filter((line) => !line.startsWith(`${child.pid} `))
    await until(async () => (await others()).length > 0 && (await hasBegun(to)), 'rsync')
    child.kill('SIGKILL')
    await once(child, 'close')
    await until(async () => (await others()).length === 0, 'rsync to be gone')
  }
})

t.test('without setpriv a build comes all the same, and without rsync it is said', async (t) => {
  if (!needs(t, 'rsync', 'rsync')) return
  const { host, port } = await served(t, await build(t))
  const bin = await temporaryDirectory(t)
  const to = await temporaryDirectory(t)
  const words = [program, 'upgrade', '885', '--server', `${host}:${port}`, '--to', to]
  const run = (PATH: string) => spawnSync(process.execPath, words, { env: { PATH }, encoding: 'utf8' })
  t.match(run(bin), { status: 69, stderr: /rsync/ })
  for (const name of ['setpriv', 'true']) {
    const path = pathOf(name)
    if (path !== undefined) await symlink(path, join(bin, name))
  }
  t.match(run(bin), { status: 69, stderr: /rsync/ }, 'setpriv alone is of no use')
  await rm(join(bin, 'setpriv'), { force: true })
  await symlink(pathOf('rsync') ?? '', join(bin, 'rsync'))
  t.match(run(bin), { status: 0 })
  // Of another make, which knows no --pdeathsig.
  await writeFile(join(bin, 'setpriv'), '#!/bin/sh\nexit 1\n', { mode: 0o755 })
  t.match(run(bin), { status: 0 })
})

/** Where a program is. */
const pathOf = (name: string): string | undefined =>
  (process.env.PATH ?? '')
    .split(':')
    .map((folder) => join(folder, name))
    .find((path) => existsSync(path))

t.test('who is held by a server can go', async (t) => {
  if (!needs(t, 'rsync', 'rsync')) return
  const server = await fetchingServer(t, 600_000, '')
  const to = await temporaryDirectory(t)
  const stop = new AbortController()
  const begun = () => void setTimeout(() => stop.abort(), 300)
  const result = await upgrade('885', { server, to, begun, signal: stop.signal })
  t.match(result, { outcome: 'interrupted', directory: to })
  t.same(await processesOn(to), [])
  t.match(await upgrade('885', { server, to, signal: stop.signal }), { outcome: 'interrupted' })
})

t.test('a line that breaks is worth another attempt, which sends the rest', async (t) => {
  if (!needs(t, 'rsync', 'rsync')) return
  const line = await large(t, 4_000_000)
  line.breaksAt = 1_500_000
  const to = await temporaryDirectory(t)
  const ask = () => sugaroid('upgrade', '885', '--server', `${line.host}:${line.port}`, '--to', to)
  t.match(await ask(), { code: 75, out: /did not come whole/, err: /not sent twice/ })
  line.bytes = 0
  t.match(await ask(), { code: 0 })
  t.ok(line.bytes < 1_200_000, `${line.bytes} bytes came`)
})
