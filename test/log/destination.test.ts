import { execFileSync, spawn } from 'node:child_process'
import { closeSync, constants, mkdtempSync, openSync, readSync, rmSync, writeFileSync } from 'node:fs'
import { request } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { Destination } from '../../core/log/destination.js'

/** A pipe that is not read, unless it is asked to be. */
function pipe(t: Test) {
  const folder = mkdtempSync(join(tmpdir(), 'sugar-log-'))
  const path = join(folder, 'pipe')
  execFileSync('mkfifo', [path])
  const fd = openSync(path, constants.O_RDWR | constants.O_NONBLOCK)
  t.teardown(() => {
    closeSync(fd)
    rmSync(folder, { recursive: true, force: true })
  })
  const bytes = Buffer.alloc(1 << 20)
  let heard = ''
  const read = () => {
    try {
      heard += bytes.toString('latin1', 0, readSync(fd, bytes))
    } catch {
      // It is empty.
    }
    return heard
  }
  return { path, fd, read }
}

const notice = (lost: number, code: string): string => `${lost} lost: ${code}\n`

t.test('a reader that is stuck is not waited for, and told what it missed', async (t) => {
  const { fd, read } = pipe(t)
  const destination = new Destination(fd, notice)
  const line = `${'x'.repeat(999)}\n`
  for (let n = 0; n < 3000; n += 1) destination.write(line)
  const began = performance.now()
  await destination.flush(200)
  t.ok(performance.now() - began < 30_000, 'flush gives up')
  while (!read().includes('lost')) await sleep(20)
  const [, lost] = /(\d+) lost: EAGAIN\n/.exec(read()) ?? []
  t.equal(read().split(line).length - 1 + Number(lost), 3000, 'each line is whole, or counted')
  await destination.flush()
  destination.write('more\n')
  await destination.flush()
  t.match(read(), /more\n$/)
})

t.test('a full disk is tried again, and nothing waits for it', async (t) => {
  // Not closed: it is tried for as long as the process lives, and another file would get its number.
  const fd = openSync('/dev/full', 'w')
  const destination = new Destination(fd, notice)
  for (let n = 0; n < 3000; n += 1) destination.write(`${'x'.repeat(999)}\n`)
  await destination.flush(100)
  t.pass('it goes on')
})

const program = fileURLToPath(new URL('../../core/bin/sugar-server.js', import.meta.url))

for (const [what, open] of [
  ['a pipe that no one reads', (t: Test) => pipe(t).fd],
  ['a full disk', () => openSync('/dev/full', 'w')],
] as const) {
  t.test(`a server whose log goes to ${what} serves, and ends when it is told to`, async (t) => {
    const root = mkdtempSync(join(tmpdir(), 'sugar-log-'))
    t.teardown(() => rmSync(root, { recursive: true, force: true }))
    const settings = join(root, 'empty.conf')
    writeFileSync(settings, '')
    const args = ['--config', settings, '--root', join(root, 'school'), '--plugins', 'id']
    const ports = ['--host', '127.0.0.1', '--httpd-port', '0', '--id-port', '0', '--log-level', 'debug']
    const server = spawn(process.execPath, [program, ...args, ...ports], {
      stdio: ['ignore', 'pipe', open(t)],
    })
    t.teardown(() => server.kill('SIGKILL'))
    let out = ''
    server.stdout?.setEncoding('utf8').on('data', (text: string) => {
      out += text
    })
    const url = () => /health +(http:\S+)/.exec(out)?.[1]
    while (url() === undefined && server.exitCode === null) await sleep(50)
    const ask = () =>
      new Promise<number>((resolve) => {
        const asked = request(`${url()}/${'x'.repeat(100)}`, (answer) => {
          answer.resume().on('end', () => resolve(answer.statusCode ?? 0))
        })
        asked.on('error', () => resolve(0)).end()
      })
    for (let n = 0; n < 600; n += 1) if ((await ask()) !== 404) t.fail('no answer')
    const ended = new Promise((resolve) => server.once('exit', (code, signal) => resolve([code, signal])))
    server.kill('SIGTERM')
    t.same(await ended, [0, null])
  })
}
