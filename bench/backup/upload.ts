import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { digestJournal } from '../../sugaroid/index.js'
import { median } from '../support/process.js'
import { inTurn } from '../support/turns.js'
import { inMegabytes, inSeconds, say, sayRatio, sayTimes, secondsOf } from '../support/words.js'
import type { Stage } from './stage.js'

/** The first upload of a large Journal; in each round by a laptop that was never here. */
export async function upload(stage: Stage): Promise<void> {
  const { school, sshd, rounds, folder } = stage
  const journal = await stage.journal()
  const { files, bytes } = await digestJournal(journal)
  say('upload', `${files} files, ${inMegabytes(bytes)}: rsync -rltp --delete over ssh`)
  const kept: number[] = []
  const { ours, peer } = await inTurn(rounds, {
    async peer(round) {
      const { keyFile } = await stage.owner()
      const to = join(folder, `upload-${round}`)
      const taken = await sshd.send(keyFile, journal, to)
      await rm(to, { recursive: true })
      return taken
    },
    async ours(round) {
      const laptop = await stage.laptop(`upload-${round}`)
      const taken = await school.send(laptop, journal)
      const began = performance.now()
      // The snapshot must not be at work while the next one is measured.
      await school.settle(laptop)
      kept.push((performance.now() - began) / 1000)
      await school.drop(laptop)
      return taken
    },
  })
  sayTimes('sshd + rsync', peer)
  sayTimes('ours', ours)
  sayRatio('ours / sshd + rsync, first upload', secondsOf(ours) / secondsOf(peer), 'at most 1.0')
  const [first = 0, ...later] = kept
  say(
    'also',
    `the snapshot, behind the laptop's back: ${inSeconds(first)}, ${inSeconds(median(later))} when the contents are known`,
  )
}
