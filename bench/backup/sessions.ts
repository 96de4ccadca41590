import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { datastoreOf, type Identity, makeJournal } from '../../sugaroid/index.js'
import { inTurn, type Taken } from '../support/turns.js'
import { say, sayRatio, secondsOf } from '../support/words.js'
import type { Stage } from './stage.js'

const atOnce = 16
const small = { entries: 20, megabytes: 1 }

/** Sessions a second. */
export async function sessions(stage: Stage): Promise<void> {
  say(
    'sessions',
    `${atOnce} laptops at once, each with a key and an unchanged Journal of its own; each session is a whole rsync over a new ssh, its client on this machine too`,
  )
  const laptops: Identity[] = []
  for (let at = 0; at < atOnce; at += 1) laptops.push(await stage.laptop(`session-${at}`))
  await ofSmall(stage, laptops)
  await ofFirst(stage, laptops)
  await ofLarge(stage, laptops)
}

const mirrorOf = ({ folder }: Stage, at: number): string => join(folder, `session-${at}`)

async function ofSmall(stage: Stage, laptops: readonly Identity[]): Promise<void> {
  const { school, sshd } = stage
  for (const [at, laptop] of laptops.entries()) {
    const journal = datastoreOf(laptop.home)
    await makeJournal(journal, { ...small, seed: String(at) })
    await sshd.send(laptop.keyFile, journal, mirrorOf(stage, at))
    await school.send(laptop, journal)
    await school.settle(laptop)
  }
  const each = 6
  const { ours, peer } = await inTurn(stage.rounds, {
    peer: () =>
      storm(laptops, each, (laptop, at) =>
        sshd.send(laptop.keyFile, datastoreOf(laptop.home), mirrorOf(stage, at)),
      ),
    ours: () => storm(laptops, each, (laptop) => school.send(laptop, datastoreOf(laptop.home))),
  })
  const rate = (taken: readonly Taken[]) => (each * atOnce) / secondsOf(taken)
  const what = `${small.entries} entries`
  say('median', `sshd + rsync       ${rate(peer).toFixed(1)} sessions a second, ${what}`)
  say('median', `ours               ${rate(ours).toFixed(1)} sessions a second, ${what}`)
  sayRatio('ours / sshd + rsync, sessions a second', rate(ours) / rate(peer), 'at least 2')
}

/** First uploads: both sides write everything, and ours waits until the disk has it. */
async function ofFirst(stage: Stage, laptops: readonly Identity[]): Promise<void> {
  const { school, sshd } = stage
  const { ours, peer } = await inTurn(stage.rounds, {
    async peer() {
      await Promise.all(laptops.map((_, at) => rm(mirrorOf(stage, at), { recursive: true })))
      return storm(laptops, 1, (laptop, at) =>
        sshd.send(laptop.keyFile, datastoreOf(laptop.home), mirrorOf(stage, at)),
      )
    },
    async ours() {
      await Promise.all(laptops.map((laptop) => school.drop(laptop)))
      const taken = await storm(laptops, 1, (laptop) => school.send(laptop, datastoreOf(laptop.home)))
      await Promise.all(laptops.map((laptop) => school.settle(laptop)))
      return taken
    },
  })
  const [of, by] = [secondsOf(ours), secondsOf(peer)]
  say(
    'also',
    `${atOnce} first uploads at once, ${small.megabytes} MB each: sshd + rsync ${by.toFixed(2)} s, ours ${of.toFixed(2)} s, ratio ${(of / by).toFixed(2)}`,
  )
}

/** The same with large Journals; all have the same files, which nobody reads or writes. */
async function ofLarge(stage: Stage, laptops: readonly Identity[]): Promise<void> {
  const { school, sshd } = stage
  await stage.sent()
  const owner = await stage.owner()
  const journal = await stage.journal()
  for (const laptop of laptops) {
    await school.drop(laptop)
    await school.copyLive(owner, laptop)
  }
  const { ours, peer } = await inTurn(2, {
    peer: () => storm(laptops, 1, (laptop) => sshd.send(laptop.keyFile, journal, stage.mirror)),
    ours: () => storm(laptops, 1, (laptop) => school.send(laptop, journal)),
  })
  const rate = (taken: readonly Taken[]) => atOnce / secondsOf(taken)
  const [of, by] = [rate(ours), rate(peer)]
  say(
    'also',
    `with 2,000 entries: sshd + rsync ${by.toFixed(1)}, ours ${of.toFixed(1)} a second, ratio ${(of / by).toFixed(2)}`,
  )
}

/** All laptops at once, each of them so many times. */
async function storm(
  laptops: readonly Identity[],
  times: number,
  send: (laptop: Identity, at: number) => Promise<unknown>,
): Promise<Taken> {
  const began = performance.now()
  await Promise.all(
    laptops.map(async (laptop, at) => {
      for (let time = 0; time < times; time += 1) await send(laptop, at)
    }),
  )
  return { seconds: (performance.now() - began) / 1000 }
}
