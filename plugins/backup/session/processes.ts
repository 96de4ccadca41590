import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

/**
 * Programs that work in the archive, written down so that a start after a crash finds those that are left: they must
 * be gone before anybody else works there.
 */
export class Processes {
  readonly #folder: string

  /** @param make whether its folder is made now; otherwise prepare() does, once the archive is there */
  constructor(root: string, { make = true } = {}) {
    this.#folder = join(root, 'processes')
    if (make) this.prepare()
  }

  prepare(): void {
    mkdirSync(this.#folder, { recursive: true, mode: 0o700 })
  }

  /** @returns a function that strikes it out again */
  note(pid: number): () => void {
    const file = join(this.#folder, `${pid}-${startOf(pid) ?? 0}`)
    writeFileSync(file, '', { mode: 0o600 })
    return () => rmSync(file, { force: true })
  }

  /** Ends whatever is left. @returns how many there were */
  async endAll(): Promise<number> {
    let ended = 0
    if (!existsSync(this.#folder)) return ended
    for (const name of readdirSync(this.#folder)) {
      const [pid = 0, start] = name.split('-').map(Number)
      // A number is given to another program one day; the time of its start tells them apart.
      if (pid > 1 && startOf(pid) === start) {
        ended += 1
        end(pid)
        while (startOf(pid) === start) await sleep(20)
      }
      rmSync(join(this.#folder, name), { force: true })
    }
    return ended
  }
}

/** SIGKILL to a program and those it has started, where it is the first of its group. */
function end(pid: number): void {
  for (const target of [-pid, pid]) {
    try {
      process.kill(target, 'SIGKILL')
    } catch {
      // It has no group of its own, or has just ended.
    }
  }
}

/** When a process was started, in ticks since the machine's start; undefined when there is none, or it is dead. */
function startOf(pid: number): number | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'latin1')
    // The name before, in parentheses, may hold anything.
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
    return fields[0] === 'Z' ? undefined : Number(fields[19])
  } catch {
    return undefined
  }
}
