import { connect as connectTo } from 'node:net'
import { join } from 'node:path'
import { inTurn, type Taken } from '../support/turns.js'
import { inSeconds, say, sayRatio, sayTimes, secondsOf } from '../support/words.js'
import { pull } from './pull.js'
import type { Side, Stage } from './stage.js'
import { publishTree } from './tree.js'

/** One takes little: more rounds than for others. */
const times = 5

/** From nothing to a first file. */
export async function connect(stage: Stage): Promise<void> {
  const { ours, daemon, rounds, folder } = stage
  await publishTree(stage, 'one', { count: 1, size: 10 })
  say('connect', 'one file of 10 bytes')
  const to = join(folder, 'to')
  const clients = await inTurn(rounds * times, {
    peer: () => pull(daemon, 'one/0/0', to),
    ours: () => pull(ours, 'one/0/0', to),
  })
  sayTimes('rsync --daemon', clients.peer)
  sayTimes('ours', clients.ours)
  sayRatio('set-up, ours / rsync --daemon', secondsOf(clients.ours) / secondsOf(clients.peer), 'at most 1.3')
  const bare = await inTurn(rounds * times, { peer: () => shakeHands(daemon), ours: () => shakeHands(ours) })
  // The daemon forks; we start a program, since it must not be the server that a client talks to.
  const [peer, own] = [secondsOf(bare.peer), secondsOf(bare.ours)]
  say(
    'also',
    `to the OK of a module, with no client's own time: ${inSeconds(own)}, rsync --daemon ${inSeconds(peer)}`,
  )
}

/** As far as the module's OK. */
const shakeHands = ({ port }: Side): Promise<Taken> =>
  new Promise((resolve, reject) => {
    const began = performance.now()
    const socket = connectTo({ port, host: '127.0.0.1', noDelay: true })
    let heard = ''
    // As every rsync does: it greets at once, and asks when it is greeted.
    socket.once('connect', () => socket.write('@RSYNCD: 30.0\n'))
    socket.setEncoding('latin1').on('data', (text: string) => {
      if (heard === '') socket.write('one\n')
      heard += text
      if (heard.includes('@RSYNCD: OK')) socket.destroy()
    })
    socket.once('error', reject)
    socket.once('close', () => resolve({ seconds: (performance.now() - began) / 1000 }))
  })
