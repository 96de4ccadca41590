import type { BigIntStats } from 'node:fs'
import { lstat, opendir, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { type Limits, onDisk } from '../unpack/limits.js'
import { refusal, shown } from '../unpack/refusal.js'
import type { Sum } from '../unpack/tally.js'
import { manifest, tree } from './layout.js'

/**
 * Looks through a build that another server sent, every entry of it: it must be as rsync's `fake super` leaves one, that
 * is, files and directories of ours alone, none of them setuid, beside its manifest.
 * @throws RequestError REQUEST_INVALID
 */
export async function examine(build: string, limits: Limits, signal: AbortSignal): Promise<Sum> {
  if (!(await lstat(build)).isDirectory()) throw refusal('it is not a directory')
  const names = (await readdir(build)).sort()
  if (names.length !== 2 || names[0] !== manifest || names[1] !== tree)
    throw refusal('it does not hold "contents" and "root" alone')
  if (!(await lstat(join(build, manifest))).isFile()) throw refusal('its "contents" is not a file')
  const top = Buffer.from(join(build, tree))
  if (!(await lstat(top)).isDirectory()) throw refusal('its "root" is not a directory')
  return new Examination(top, limits, signal).run()
}

class Examination {
  readonly #top: Buffer
  readonly #limits: Limits
  readonly #signal: AbortSignal
  readonly #sum = { entries: 0, bytes: 0 }
  /** Files with several names, which take room once. */
  readonly #seen = new Set<bigint>()

  constructor(top: Buffer, limits: Limits, signal: AbortSignal) {
    this.#top = top
    this.#limits = limits
    this.#signal = signal
  }

  async run(): Promise<Sum> {
    const waiting = [this.#top]
    for (let folder = waiting.pop(); folder !== undefined; folder = waiting.pop()) {
      // By and by: one of them may hold more than memory does.
      for await (const { name } of await opendir(folder, { encoding: 'latin1' })) {
        this.#signal.throwIfAborted()
        const path = Buffer.concat([folder, Buffer.from(`/${name}`, 'latin1')])
        const about = await lstat(path, { bigint: true })
        this.#check(path, about)
        if (about.isDirectory()) waiting.push(path)
      }
    }
    return this.#sum
  }

  #check(path: Buffer, about: BigIntStats): void {
    const shownPath = shown(path.subarray(this.#top.length + 1).toString('latin1'))
    if (!about.isFile() && !about.isDirectory())
      throw refusal(`${shownPath} is neither a file nor a directory`)
    if ((about.mode & 0o7000n) !== 0n) throw refusal(`${shownPath} is setuid, setgid or sticky on the disk`)
    const isLinked = about.isFile() && about.nlink > 1n
    const isCounted = isLinked && this.#seen.has(about.ino)
    if (isLinked) this.#seen.add(about.ino)
    this.#sum.entries += 1
    if (!isCounted) this.#sum.bytes += onDisk(about.isDirectory() ? 1 : Number(about.size))
    const { entries, bytes } = this.#limits
    if (this.#sum.entries > entries) throw refusal(`it has more than ${entries} entries`)
    if (this.#sum.bytes > bytes)
      throw refusal(`it takes more than ${Math.floor(bytes / 1e6)} MB (rsync-tree-limit)`)
  }
}
