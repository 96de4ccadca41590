/**
 * Backups: ours beside rsync over OpenSSH's sshd, `cp -al`, `rsync --link-dest`, restic and borg. In turn, in one run;
 * medians, and ratios with the goal beside each. Parts may be named; `--dir` says where all of it is written, which is
 * memory when not said, so that no disk decides.
 */
import { classroom } from './backup/class.js'
import { search } from './backup/search.js'
import { sessions } from './backup/sessions.js'
import { snapshot } from './backup/snapshot.js'
import { Stage } from './backup/stage.js'
import { unchanged } from './backup/unchanged.js'
import { upload } from './backup/upload.js'
import { play, typed } from './support/parts.js'
import { say } from './support/words.js'

const parts = { upload, unchanged, sessions, snapshot, class: classroom, search }
const names = Object.keys(parts) as (keyof typeof parts)[]
const { chosen, rounds, where } = typed('backup', names, 5)

const stage = await Stage.open(where, rounds)
const played = chosen.map((name) => parts[name])
await play(stage, where, played, () => {
  say('memory', `of the server  ${stage.peaks.server.toFixed(1)} MB at most  (under 150)`)
  say(
    'memory',
    `of the process that keeps the archive  ${Math.max(stage.peaks.archive, stage.archivePeak).toFixed(1)} MB at most`,
  )
})
