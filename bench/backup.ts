/**
 * Backups: ours beside rsync over OpenSSH's sshd, `cp -al`, `rsync --link-dest`, restic and borg. In turn, in one run;
 * medians, and ratios with the goal beside each. Parts may be named; `--dir` says where all of it is written, which is
 * memory when not said, so that no disk decides.
 */
import { existsSync } from 'node:fs'
import { loadavg, tmpdir } from 'node:os'
import { parseArgs } from 'node:util'
import { classroom } from './backup/class.js'
import { search } from './backup/search.js'
import { sessions } from './backup/sessions.js'
import { snapshot } from './backup/snapshot.js'
import { Stage } from './backup/stage.js'
import { unchanged } from './backup/unchanged.js'
import { upload } from './backup/upload.js'
import { inSeconds, say } from './support/words.js'

const parts = { upload, unchanged, sessions, snapshot, class: classroom, search }
const names = Object.keys(parts) as (keyof typeof parts)[]

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { dir: { type: 'string' }, rounds: { type: 'string', default: '5' } },
})
const chosen = names.filter((name) => positionals.length === 0 || positionals.includes(name))
const rounds = Number(values.rounds)
if (positionals.some((name) => !names.includes(name as never)) || !(rounds >= 1)) {
  console.error(`usage: npm run bench -- backup [${names.join(' | ')}] [--dir DIRECTORY] [--rounds 5]`)
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
say(
  'memory',
  `of the process that keeps the archive  ${Math.max(stage.peaks.archive, stage.archivePeak).toFixed(1)} MB at most`,
)
say('took', `${inSeconds((performance.now() - began) / 1000)}; load ${load()}`)
