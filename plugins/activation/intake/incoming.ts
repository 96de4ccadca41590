import { randomBytes } from 'node:crypto'
import { mkdir, mkdtemp, readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { asError, RequestError, removeTree, unwritten } from '../../../core/api.js'
import type { Desk } from './desk.js'

/** Of this process: what others of its kind began is nobody's any more, since a root has one owner. */
const mark = randomBytes(4).toString('hex')

/** A private directory below the root for files that come with a command, some of them secret. */
export class Incoming {
  readonly path: string

  private constructor(path: string) {
    this.path = path
  }

  /** Removes those that a killed server left. What cannot be removed is told: it must not keep laptops waiting. */
  static async clean({ config, log }: Pick<Desk, 'config' | 'log'>): Promise<void> {
    const folder = join(config.root, 'activation')
    for (const name of await readdir(folder)) {
      if (!name.startsWith('incoming-') || name.startsWith(`incoming-${mark}-`)) continue
      await removeTree(join(folder, name)).catch((error: unknown) =>
        log.warn({ err: asError(error) }, `${join(folder, name)} cannot be removed; there may be keys in it`),
      )
    }
  }

  /** Makes it beside the roll's own files. @throws SystemError NO_SPACE, NOT_WRITABLE */
  static async open(desk: Pick<Desk, 'config' | 'log'>): Promise<Incoming> {
    const folder = join(desk.config.root, 'activation')
    try {
      await Incoming.clean(desk)
      return new Incoming(await mkdtemp(join(folder, `incoming-${mark}-`)))
    } catch (error) {
      throw unwritten(folder, error)
    }
  }

  /**
   * Writes a file.
   * @param folder a directory in it, made when it is not there; `.`: itself
   * @throws RequestError for a name that is none; SystemError NO_SPACE, NOT_WRITABLE
   */
  async put(folder: string, name: string, bytes: Buffer): Promise<void> {
    if (/[/\0]/.test(name) || ['', '.', '..'].includes(name))
      throw new RequestError('REQUEST_INVALID', 'a file came whose name is none')
    const directory = join(this.path, folder)
    try {
      await mkdir(directory, { recursive: true, mode: 0o700 })
      await writeFile(join(directory, name), bytes, { mode: 0o600, flag: 'wx' })
    } catch (error) {
      throw unwritten(directory, error)
    }
  }

  remove(): Promise<void> {
    return removeTree(this.path)
  }
}
