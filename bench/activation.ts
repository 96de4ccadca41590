/**
 * Laptops that ask for their lease at boot: fresh leases beside crypto.sign alone, ready ones beside a bare server that
 * answers a constant, and what bios-crypto signs, where it is installed. In turn, in one run; medians, and ratios with
 * the goal beside each. Parts may be named; `--dir` says where it is written, which is memory when not said.
 */
import { existsSync } from 'node:fs'
import { Stage } from './activation/stage.js'
import { play, typed } from './support/parts.js'
import { median } from './support/process.js'
import { inTurn, type Taken } from './support/turns.js'
import { say, sayRatio, sayTimes, secondsOf } from './support/words.js'

/** Laptops that ask before anything is measured. */
const warming = 1500

const parts = { fresh, ready, 'bios-crypto': biosCrypto }
const names = Object.keys(parts) as (keyof typeof parts)[]

const { chosen, rounds, where } = typed('activation', names, 5)

/** Each laptop gets one fresh lease in a round: from a server that has one core, and from one that has two. */
async function fresh(stage: Stage): Promise<void> {
  const count = stage.laptops - warming
  // What was signed in one round is kept, and would be given again in the next, but for a lease that lasts longer.
  let days = 21
  const asked = async (on: 'one' | 'all') => {
    days += 7
    const server = await stage.server({ on, options: ['--activation-days', String(days)] })
    await stage.ask(server, { first: 0, count: warming })
    const taken = await stage.ask(server, { first: warming, count })
    await server.served.end()
    return taken
  }
  const taken = await inTurn(rounds, {
    sign: () => stage.sign(count),
    one: () => asked('one'),
    all: () => asked('all'),
  })
  for (const [name, all] of Object.entries(taken)) sayTimes(`fresh, ${name}`, all)
  sayRate('fresh, one core', taken.one, count)
  sayRate('fresh, two cores', taken.all, count)
  const alone = secondsOf(taken.sign)
  sayRatio('fresh: ours / crypto.sign, the same core', alone / secondsOf(taken.one), 'at least 0.8')
  sayWork('fresh: ours / crypto.sign', workOf(taken.sign) / workOf(taken.one))
  sayRatio('fresh: ours with the laptops on two cores / crypto.sign', alone / secondsOf(taken.all), 'no goal')
}

/** The same laptops again and again: connections are what is measured. */
async function ready(stage: Stage): Promise<void> {
  const count = 20_000
  const { laptops } = stage
  const taken = await inTurn(rounds, {
    constant: async () => {
      const peer = await stage.constant()
      // It answers everybody with the lease of one laptop.
      await stage.ask(peer, { first: laptops, count: warming, laptops: 1 })
      const asked = await stage.ask(peer, { first: laptops, count, laptops: 1 })
      await peer.served.end()
      return asked
    },
    ours: async () => {
      const server = await stage.server()
      await stage.ask(server, { first: laptops, count: warming })
      const asked = await stage.ask(server, { first: laptops, count, laptops })
      await server.served.end()
      return asked
    },
  })
  for (const [name, all] of Object.entries(taken)) sayTimes(`ready, ${name}`, all)
  const rate = sayRate('ready, ours', taken.ours, count)
  const ratio = secondsOf(taken.constant) / secondsOf(taken.ours)
  sayRatio('ready: ours / constant', ratio, `at least 0.7, or 8,000 a second: ${rate.toFixed(0)}`)
  sayWork('ready: ours / constant', workOf(taken.constant) / workOf(taken.ours))
}

async function biosCrypto(stage: Stage): Promise<void> {
  const path = ['/usr/bin', '/usr/local/bin'].find((folder) =>
    ['bc-sig01', 'obc-sig01', 'sig01'].some((name) => existsSync(`${folder}/${name}`)),
  )
  if (path === undefined) {
    say('bios', 'bios-crypto is not installed: nothing is measured')
    return
  }
  const count = 100
  const server = await stage.server({
    options: ['--keyring-driver', 'bios-crypto', '--bios-crypto-path', path],
  })
  sayRate('bios-crypto', [await stage.ask(server, { first: 0, count })], count)
  await server.served.end()
}

const workOf = (taken: readonly Taken[]): number => median(taken.map(({ work = Number.NaN }) => work))

/** What it would be if nothing else ran on the core, nor laptops were what was waited for. */
const sayWork = (what: string, value: number): void =>
  say('ratio', `${what}, by processor time  ${value.toFixed(2)}`)

function sayRate(name: string, taken: readonly Taken[], count: number): number {
  const rate = count / secondsOf(taken)
  say(
    'rate',
    `${name}  ${rate.toFixed(0)} a second, ${((workOf(taken) / count) * 1e6).toFixed(0)} µs of processor time each`,
  )
  return rate
}

const stage = await Stage.open(where, 4000 + warming)
const played = chosen.map((name) => parts[name])
await play(stage, where, played)
