import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { SystemError } from '../../../core/api.js'
import type { BytePath } from '../tree.js'
import { secondsLimit } from './codec.js'

/** A file, directory or link as it lies in a live tree. */
export interface Listed {
  readonly path: BytePath
  /** Where it lies, in the folder that was listed. */
  readonly lies: BytePath
  readonly type: 'file' | 'directory' | 'link' | 'other'
  readonly mode: number
  readonly seconds: number
  readonly nanos: number
  /** When anything of it last changed, by the kernel's clock: nobody can set it. Seconds, and nanoseconds. */
  readonly changed: number
  readonly changedNanos: number
  readonly size: number
  readonly target: BytePath
}

// 32,000 files are listed in 0.13 s by find, in twice that by calls of our own.
const format = '%y %m %s %T@ %C@ %P\\0%l\\0'
const types: Record<string, Listed['type']> = { f: 'file', d: 'directory', l: 'link' }
/** Bytes of a listing: about 3 million files. */
const longest = 400 << 20

/**
 * Everything in some directories of a folder, them included, sorted by path. What is not there has nothing in it.
 * @param places the directories, by the names that their paths begin with
 */
export function list(folder: string, places: Readonly<Record<string, string>>): Listed[] {
  if (!existsSync(folder)) return []
  const rows = Object.entries(places).flatMap(([place, name]) => listOne(folder, name, place))
  return rows.sort((a, b) => (a.path < b.path ? -1 : 1))
}

function listOne(folder: string, name: string, place: string): Listed[] {
  let { status, stdout, stderr, error } = find(folder, [name, '-printf', format])
  if (status !== 0 && stderr.includes('Permission denied')) {
    // A child may have shut a directory, even for its owner; here that is us.
    find(folder, [name, '-type', 'd', '!', '-perm', '-u=rwx', '-exec', 'chmod', 'u+rwx', '{}', ';'])
    ;({ status, stdout, stderr, error } = find(folder, [name, '-printf', format]))
  }
  if (error !== undefined || (status !== 0 && stdout.length > 0))
    throw unlisted(folder, error?.message ?? stderr.toString())
  if (status !== 0) {
    if (stderr.includes('No such file')) return []
    throw unlisted(folder, stderr.toString())
  }
  const rows: Listed[] = []
  const fields = new Fields(stdout)
  while (!fields.ended) {
    const kind = fields.word()
    const mode = Number.parseInt(fields.word(), 8)
    const size = fields.number()
    const [seconds, nanos] = fields.time()
    const [changed, changedNanos] = fields.time()
    const below = fields.text()
    const target = fields.text()
    const path = below === '' ? place : `${place}/${below}`
    const lies = place === name ? path : name + path.slice(place.length)
    const type = types[kind] ?? 'other'
    rows.push({ path, lies, type, mode, size, seconds, nanos, changed, changedNanos, target })
  }
  return rows
}

const find = (folder: string, args: readonly string[]) =>
  spawnSync('find', args, {
    cwd: folder,
    maxBuffer: longest,
    env: { PATH: process.env.PATH, LC_ALL: 'C' },
    stdio: ['ignore', 'pipe', 'pipe'],
  })

/** Reads find's output; a Journal has 32,000 lines of it, so nothing is copied that is no name. */
class Fields {
  readonly #bytes: Buffer
  #at = 0

  constructor(bytes: Buffer) {
    this.#bytes = bytes
  }

  get ended(): boolean {
    return this.#at >= this.#bytes.length
  }

  word(): string {
    return this.#upTo(0x20)
  }

  text(): string {
    return this.#upTo(0)
  }

  /** Digits, with a sign perhaps, up to a blank or a point. */
  number(): number {
    let value = 0
    let sign = 1
    for (;;) {
      const byte = this.#bytes[this.#at++] ?? 0x20
      if (byte === 0x20 || byte === 0x2e) return sign * value
      if (byte === 0x2d) sign = -1
      else value = 10 * value + (byte - 0x30)
    }
  }

  /** `SECONDS.NANOS` with ten digits behind the point, of which the last is nothing. */
  time(): [seconds: number, nanos: number] {
    const seconds = Math.min(Math.max(this.number(), -secondsLimit), secondsLimit)
    return [seconds, Math.floor(this.number() / 10)]
  }

  #upTo(end: number): string {
    const at = this.#bytes.indexOf(end, this.#at)
    const text = this.#bytes.toString('latin1', this.#at, at === -1 ? this.#bytes.length : at)
    this.#at = at === -1 ? this.#bytes.length : at + 1
    return text
  }
}

const unlisted = (folder: string, why: string): SystemError =>
  new SystemError('NOT_WRITABLE', `${folder} cannot be listed: ${why.trim().slice(0, 300)}`, {
    hint: 'see that the directory and all below it belong to the user that sugar-server runs as',
  })
