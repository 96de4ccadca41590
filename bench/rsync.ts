/**
 * Publishing over rsync: ours beside the daemon of rsync itself, on the same trees, and beside GNU tar for unpacking. In
 * turn, in one run; medians, and ratios with the goal beside each. Parts may be named; `--dir` says where all of it is
 * written, which is memory when not said, so that no disk decides.
 */
import { existsSync } from 'node:fs'
import { loadavg, tmpdir } from 'node:os'
import { parseArgs } from 'node:util'
import { clients } from './rsync/clients.js'
import { connect } from './rsync/connect.js'
import { files, small } from './rsync/files.js'
import { publish } from './rsync/publish.js'
import { Stage } from './rsync/stage.js'
import { inSeconds, say } from './support/words.js'

const parts = { files, small, clients, connect, publish }
const names = Object.keys(parts) as (keyof typeof parts)[]

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { dir: { type: 'string' }, rounds: { type: 'string', default: '9' } },
})
const chosen = names.filter((name) => positionals.length === 0 || positionals.includes(name))
const rounds = Number(values.rounds)
if (positionals.some((name) => !names.includes(name as never)) || !(rounds >= 1)) {
  console.error(`usage: npm run bench -- rsync [${names.join(' | ')}] [--dir DIRECTORY] [--rounds 9]`)
  process.exit(64)
}

const memory = '/dev/shm'
const where = values.dir ?? (existsSync(memory) ? memory : tmpdir())
const stage = await Stage.open(where, rounds)
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, async () => {
    await stage.close()
    process.exit(1)
  })
}
const began = performance.now()
const load = () => loadavg()[0]?.toFixed(1)
say('where', `${where}; load ${load()}`)
try {
  for (const name of chosen) await parts[name](stage)
} finally {
  await stage.close()
}
say('memory', `of the server  ${stage.peaks.server.toFixed(1)} MB at most  (under 150)`)
say('took', `${inSeconds((performance.now() - began) / 1000)}; load ${load()}`)
