import { median } from './process.js'
import type { Taken } from './turns.js'

export const say = (kind: string, text: string): void => {
  process.stdout.write(`${kind.padEnd(10)}${text}\n`)
}

export const inSeconds = (value: number): string => `${value.toFixed(value < 1 ? 3 : 2)} s`

export const inMegabytes = (bytes: number): string => `${(bytes / 1e6).toFixed(1)} MB`

export const secondsOf = (taken: readonly Taken[]): number => median(taken.map(({ seconds }) => seconds))

/** The median, the fastest and the slowest, and the processor time. */
export function sayTimes(name: string, taken: readonly Taken[]): void {
  const seconds = taken.map((one) => one.seconds)
  const works = taken.flatMap(({ work }) => (work === undefined ? [] : [work]))
  const span = `${inSeconds(Math.min(...seconds))} to ${inSeconds(Math.max(...seconds))}`
  const work = works.length === 0 ? '' : `, ${inSeconds(median(works))} of processor time in the server`
  say('median', `${name.padEnd(18)} ${inSeconds(median(seconds))} (${span})${work}`)
}

export const sayRatio = (what: string, value: number, goal: string): void =>
  say('ratio', `${what}  ${value.toFixed(2)}  (${goal})`)
