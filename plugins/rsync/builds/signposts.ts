import { randomBytes } from 'node:crypto'
import { readdir, rename, rm, symlink } from 'node:fs/promises'
import { join, relative } from 'node:path'
import { type Logger, makeFolder } from '../../../core/api.js'
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
    await makeFolder(layout.signposts)
    for (const name of await readdir(layout.signposts))
      await rm(join(layout.signposts, name), { force: true })
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
    const build = this.#layout.build(name)
    const link = join(this.#layout.signposts, `${name}.${randomBytes(4).toString('hex')}`)
    try {
      await this.#link(build, link)
    } catch (err) {
      // On a disk that is full, what is there is served all the same.
      this.#log.warn({ err, build: name }, 'transfers of a build cannot go on when it is replaced')
      return build
    }
    this.#links.set(name, link)
    return link
  }

  /** Who is on his way to a build is led to where it has been moved. It has been, so this fails nothing. */
  async turn(name: string, to: string): Promise<void> {
    const link = this.#links.get(name)
    if (link === undefined) return
    this.#links.delete(name)
    try {
      await this.#link(to, `${link}.turned`)
      await rename(`${link}.turned`, link)
    } catch (err) {
      this.#log.warn({ err, build: name }, 'transfers of a build that was moved cannot go on')
      await rm(link, { force: true }).catch(() => undefined)
    }
  }

  /** A short one takes no room but that of its name. */
  #link(to: string, path: string): Promise<void> {
    return symlink(relative(this.#layout.signposts, to), path)
  }
}
