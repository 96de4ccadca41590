import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { systemCode } from '../../../core/api.js'

/**
 * - aside: the documents may have changed since the last snapshot; the Journal has not
 * - dirty: a session may have changed the Journal
 * - whole: the last one on the Journal ended well; a snapshot is due
 * - old: whole, before the machine was started again: a snapshot is due, and what it is taken of is dirty
 */
export type Mark = 'aside' | 'dirty' | 'whole' | 'old'

/** Notes beside the live trees, by which a start after a crash knows what was under way. */
export class Marks {
  readonly #folder: string
  readonly #boot = bootId()
  #isMade = false

  constructor(root: string) {
    this.#folder = join(root, 'marks')
  }

  /** Makes their folder. Once only, by itself: should the archive go away, nothing is made in its place. */
  prepare(): void {
    mkdirSync(this.#folder, { recursive: true, mode: 0o700 })
    this.#isMade = true
  }

  /** undefined: the live tree is as the last snapshot has it. */
  get(uid: string): Mark | undefined {
    let text: string
    try {
      text = readFileSync(join(this.#folder, uid), 'utf8')
    } catch (error) {
      if (systemCode(error) === 'ENOENT') return undefined
      throw error
    }
    // After a power cut nobody knows what of a live tree had reached the disk: the laptop will send what is missing.
    // A snapshot that was due for days, for want of room, had reached it, and nobody else may have that work any more.
    const [mark, boot] = text.split(' ')
    if (boot === this.#boot && (mark === 'whole' || mark === 'aside')) return mark
    return mark === 'whole' ? 'old' : 'dirty'
  }

  /** Whether a snapshot must be taken before anybody writes there. */
  isDue(uid: string): boolean {
    const mark = this.get(uid)
    return mark === 'whole' || mark === 'old'
  }

  /** The snapshot that was due is taken. */
  taken(uid: string): void {
    if (this.get(uid) === 'old') this.set(uid, 'dirty')
    else this.clear(uid)
  }

  set(uid: string, mark: Exclude<Mark, 'old'>): void {
    const path = join(this.#folder, uid)
    if (!this.#isMade) this.prepare()
    writeFileSync(`${path}.new`, `${mark} ${this.#boot}`, { mode: 0o600 })
    renameSync(`${path}.new`, path)
  }

  clear(uid: string): void {
    rmSync(join(this.#folder, uid), { force: true })
  }

  /** Everyone with a mark. */
  all(): string[] {
    if (!existsSync(this.#folder)) return []
    return readdirSync(this.#folder).filter((name) => !name.endsWith('.new'))
  }
}

/** Changes with each start of the machine. */
function bootId(): string {
  try {
    return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()
  } catch {
    return 'unknown'
  }
}
