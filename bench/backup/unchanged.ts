import { backUp, digestJournal } from '../../sugaroid/index.js'
import { median } from '../support/process.js'
import { inTurn } from '../support/turns.js'
import { inSeconds, say, sayRatio, sayTimes, secondsOf } from '../support/words.js'
import type { Stage } from './stage.js'

/** A large Journal that is sent again as it was. */
export async function unchanged(stage: Stage): Promise<void> {
  const { school, sshd } = stage
  await stage.sent()
  const owner = await stage.owner()
  const journal = await stage.journal()
  say('unchanged', 'the same Journal again')
  const { ours, peer } = await inTurn(2 * stage.rounds + 1, {
    peer: () => sshd.send(owner.keyFile, journal, stage.mirror),
    ours: () => school.send(owner, journal),
  })
  sayTimes('sshd + rsync', peer)
  sayTimes('ours', ours)
  sayRatio('ours / sshd + rsync, unchanged', secondsOf(ours) / secondsOf(peer), 'at most 0.8')
  await asking(stage)
}

/** What a laptop has of telling its Journal's digest when it asks. */
async function asking(stage: Stage): Promise<void> {
  const { home } = await stage.owner()
  const whole: number[] = []
  const digests: number[] = []
  for (let round = 0; round < stage.rounds; round += 1) {
    const began = performance.now()
    const { outcome } = await backUp(home)
    whole.push((performance.now() - began) / 1000)
    if (outcome !== 'unchanged') throw new Error(`a laptop with the same Journal was told: ${outcome}`)
    const again = performance.now()
    await digestJournal(await stage.journal())
    digests.push((performance.now() - again) / 1000)
  }
  const [all, digest] = [median(whole), median(digests)]
  say(
    'also',
    `a laptop that asks first is told 204 after ${inSeconds(all)}; ${inSeconds(digest)} of it is its digest`,
  )
}
