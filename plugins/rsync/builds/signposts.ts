import { randomBytes } from 'node:crypto'
import { rename, rm, symlink } from 'node:fs/promises'
import { join } from 'node:path'
import type { Logger } from '../../../core/api.js'
import { makeFolder } from './disk.js'
import type { Layout } from './layout.js'

/**
 * Links by which transfers reach builds. rsync goes by the whole path into each directory that it sends, so that one who
 * began with an old build would end with the new one of its name, and the laptop would have some of both. So each
 * publication has a path of its own, which leads to that very build wherever it is moved. They last as long as the
 * server runs.
 */
export class Signposts {
  readonly #layout: Layout
  readonly #log: Logger
  /** By name of the build, the link to what is published under it now. */
  readonly #links = new Map<string, string>()

  static async open(layout: Layout, log: Logger): Promise<Signposts> {
    await rm(layout.signposts, { recursive: true, force: true })
    await makeFolder(layout.signposts)
    return new Signposts(layout, log)
  }

  private constructor(layout: Layout, log: Logger) {
    this.#layout = layout
    this.#log = log
  }

  /** @returns the path by which a build is to be served from now on */
  async put(name: string): Promise<string> {
    const known = this.#links.get(name)
    if (known !== undefined) return known
    const link = join(this.#layout.signposts, `${name}.${randomBytes(4).toString('hex')}`)
    await symlink(this.#layout.build(name), link)
    this.#links.set(name, link)
    return link
  }

  /** Who is on his way to a build is led to where it has been moved. It has been, so this fails nothing. */
  async turn(name: string, to: string): Promise<void> {
    const link = this.#links.get(name)
    if (link === undefined) return
    this.#links.delete(name)
    try {
      await symlink(to, `${link}.turned`)
      await rename(`${link}.turned`, link)
    } catch (err) {
      this.#log.warn({ err, build: name }, 'transfers of a build that was moved cannot go on')
      await rm(link, { force: true }).catch(() => undefined)
    }
  }
}
