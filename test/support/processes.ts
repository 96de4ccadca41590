import { readdirSync, readFileSync } from 'node:fs'

export interface Process {
  readonly pid: number
  readonly name: string
  readonly group: number
  /** The words of its command line. */
  readonly words: readonly string[]
}

/** Every process that runs now. */
export function processes(): Process[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => {
      try {
        const stat = readFileSync(`/proc/${name}/stat`, 'latin1')
        const [state, , group] = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
        const words = readFileSync(`/proc/${name}/cmdline`, 'latin1').split('\0')
        const named = stat.slice(stat.indexOf('(') + 1, stat.lastIndexOf(')'))
        return state === 'Z' ? [] : [{ pid: Number(name), name: named, group: Number(group), words }]
      } catch {
        // It has ended meanwhile.
        return []
      }
    })
}

/** Those that have to do with a directory, by the words they were started with. */
export const processesOf = (root: string): Process[] =>
  processes().filter(({ words }) => words.some((word) => word.includes(root)))
