import { readFile } from 'node:fs/promises'

/** Processes that are looked at: rsync is two, and up to three start it. */
const most = 16

/**
 * Bytes that a process and those it has started have read and written, as the kernel counts them: files, pipes and
 * sockets alike.
 */
export class ProcessTraffic {
  readonly #pid: number
  readonly #last = new Map<number, number>()
  #total = 0

  constructor(pid: number) {
    this.#pid = pid
  }

  /** @returns bytes since the first look; undefined when the kernel does not say, or the process has ended */
  async look(): Promise<number | undefined> {
    const pids = await family(this.#pid)
    const counts = await Promise.all(pids.map(async (pid) => [pid, await bytesOf(pid)] as const))
    const known = counts.filter((one): one is readonly [number, number] => one[1] !== undefined)
    if (known.length === 0) return undefined
    for (const [pid, bytes] of known) {
      this.#total += Math.max(0, bytes - (this.#last.get(pid) ?? 0))
      this.#last.set(pid, bytes)
    }
    return this.#total
  }
}

/** A process and its descendants. */
async function family(pid: number): Promise<number[]> {
  const found = [pid]
  for (let at = 0; at < found.length && found.length < most; at += 1) {
    const children = await textOf(`/proc/${found[at]}/task/${found[at]}/children`)
    found.push(...(children?.split(' ').filter(Boolean).map(Number) ?? []))
  }
  return found.slice(0, most)
}

async function bytesOf(pid: number): Promise<number | undefined> {
  const text = await textOf(`/proc/${pid}/io`)
  const [, read, written] = /^rchar: (\d+)\nwchar: (\d+)$/m.exec(text ?? '') ?? []
  return read === undefined ? undefined : Number(read) + Number(written)
}

/** Another process may end at any moment. */
const textOf = (path: string): Promise<string | undefined> => readFile(path, 'latin1').catch(() => undefined)
