/**
 * Durable registration of new learners over 50 connections: ours, a threaded Python server over SQLite, and koa with
 * the package xmlrpc that keeps nothing. In turn, in one run; requests a second, and their ratios.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import autocannon from 'autocannon'
import { newLaptop } from './support/laptops.js'
import { freePort, median, type Served, serve } from './support/process.js'

const rounds = 5
const seconds = 4
const here = fileURLToPath(new URL('.', import.meta.url))
const source = join(here, '..', '..', 'bench', 'peers')

const peers: Record<string, (port: number, root: string) => Promise<Served>> = {
  ours: (port, root) =>
    serve(process.execPath, [
      join(here, '..', 'core', 'bin', 'sugar-server.js'),
      ...[
        '--root',
        join(root, 'root'),
        '--host',
        '127.0.0.1',
        '--plugins',
        'id',
        '--httpd-port',
        '0',
        '--id-port',
        String(port),
      ],
      ...['--registration-limit', '0'],
    ]),
  python: (port, root) =>
    serve('python3', [join(source, 'registrar.py'), String(port), join(root, 'laptops.db')]),
  bare: (port) => serve(process.execPath, [join(here, 'peers', 'bare.js'), String(port)]),
}

interface Result {
  rate: number
  refused: number
}

async function load(port: number, duration: number): Promise<Result> {
  let refused = 0
  const result = await autocannon({
    url: `http://127.0.0.1:${port}/`,
    connections: 50,
    duration,
    requests: [
      {
        method: 'POST',
        headers: { 'content-type': 'text/xml' },
        setupRequest: (request) => ({ ...request, body: newLaptop() }),
        onResponse: (status, body) => {
          if (status !== 200 || !body.includes('>OK<')) refused += 1
        },
      },
    ],
  })
  return { rate: result.requests.average, refused: refused + result.errors }
}

const rates: Record<string, number[]> = {}
for (let round = 1; round <= rounds; round += 1) {
  for (const [name, start] of Object.entries(peers)) {
    const root = await mkdtemp(join(tmpdir(), 'sugar-bench-'))
    const port = await freePort()
    const served = await start(port, root)
    await load(port, 1)
    const { rate, refused } = await load(port, seconds)
    await served.end()
    await rm(root, { recursive: true, force: true })
    rates[name] = [...(rates[name] ?? []), rate]
    process.stdout.write(
      `round ${round}  ${name.padEnd(7)} ${rate.toFixed(0).padStart(6)} a second${refused > 0 ? `, ${refused} not kept` : ''}\n`,
    )
  }
}

const of = (name: string): number => median(rates[name] ?? [])
for (const name of Object.keys(peers))
  process.stdout.write(`median   ${name.padEnd(7)} ${of(name).toFixed(0).padStart(6)} a second\n`)
process.stdout.write(
  `ratio    ours / python + SQLite  ${(of('ours') / of('python')).toFixed(2)}  (at least 4)\n`,
)
process.stdout.write(
  `ratio    ours / bare, not kept   ${(of('ours') / of('bare')).toFixed(2)}  (at least 0.6)\n`,
)
