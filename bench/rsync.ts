/**
 * Publishing over rsync: ours beside the daemon of rsync itself, on the same trees, and beside GNU tar for unpacking. In
 * turn, in one run; medians, and ratios with the goal beside each. Parts may be named; `--dir` says where all of it is
 * written, which is memory when not said, so that no disk decides.
 */
import { clients } from './rsync/clients.js'
import { connect } from './rsync/connect.js'
import { files, small } from './rsync/files.js'
import { publish } from './rsync/publish.js'
import { Stage } from './rsync/stage.js'
import { play, typed } from './support/parts.js'
import { say } from './support/words.js'

const parts = { files, small, clients, connect, publish }
const names = Object.keys(parts) as (keyof typeof parts)[]
const { chosen, rounds, where } = typed('rsync', names, 9)

const stage = await Stage.open(where, rounds)
const played = chosen.map((name) => parts[name])
await play(stage, where, played, () => {
  say('memory', `of the server  ${stage.peaks.server.toFixed(1)} MB at most  (under 150)`)
})
