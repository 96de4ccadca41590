import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { RequestError, SystemError, systemCode } from '../../../core/api.js'
import type { StockedBuild } from '../builds/making.js'
import type { Seen } from '../documents.js'
import { unreadable } from '../unpack/packed-file.js'
import { nameFile, type TreeName, treeName } from './families.js'
import { nameIn } from './name.js'
import { readSmall } from './small-file.js'
import { sumIn } from './sum.js'

/** A packed tree in `rsync-packed`, and under which name it wants to be published. */
export interface Found extends TreeName {
  /** Undefined: it is not to be published. */
  readonly name: string | undefined
}

/** One of which it is known, or why it is not. */
export type Tree = Found | { readonly stem: string; readonly fault: unknown }

/** Which file it is, and of when. @throws RequestError NOT_FOUND; SystemError REFUSED */
async function lookAt(path: string): Promise<Seen> {
  const { size, mtimeMs, ctimeMs, ino } = await stat(path).catch((error) => unreadable(error, path))
  return { size, mtimeMs, ctimeMs, ino }
}

/** `rsync-packed`, as it is when it is looked at. */
export class PackedFolder {
  readonly path: string

  constructor(path: string) {
    this.path = path
  }

  /**
   * The packed trees that are there, by name. What is wrong with one of them is its own.
   * @throws RequestError NOT_FOUND; SystemError REFUSED when the directory cannot be read
   */
  async trees(): Promise<readonly Tree[]> {
    const names = (await this.#names()).flatMap((file) => treeName(file) ?? [])
    return Promise.all(
      names.map(async (tree) => {
        try {
          return { ...tree, name: await this.#nameOf(tree.stem) }
        } catch (fault) {
          return { stem: tree.stem, fault }
        }
      }),
    )
  }

  /**
   * Whether the file is there that says how a build is to be called.
   * @throws RequestError NOT_FOUND when nothing at all is there: so looks the place of a disk that is not mounted
   */
  async isNamed(stem: string): Promise<boolean> {
    if ((await readSmall(join(this.path, nameFile(stem)))) !== undefined) return true
    if ((await this.#names()).length > 0) return false
    throw new RequestError('NOT_FOUND', `${this.path} holds nothing at all`, {
      hint: 'mount its disk; or, when nothing is meant to be there, withdraw what is published: rsync withdraw NAME',
    })
  }

  /**
   * All that is needed to publish one.
   * @throws RequestError when a part of it is not there, or is not what it should be
   */
  async stocked(found: Found & { readonly name: string }): Promise<StockedBuild> {
    const tree = join(this.path, found.tree)
    const text = await readSmall(join(this.path, found.sum))
    if (text === undefined && found.needsSum) {
      throw new RequestError(
        'NOT_FOUND',
        `there is no ${found.sum}, so nobody knows whether the tree is whole`,
        {
          hint: `make it where the tree was packed: md5sum ${found.tree} > ${found.sum}`,
        },
      )
    }
    const contents = join(this.path, found.contents)
    const before = [await lookAt(tree), await lookAt(contents)] as const
    return {
      name: found.name,
      ...{ tree, contents, from: 'rsync', packedAs: found.stem, seen: before[0] },
      md5: text === undefined ? undefined : sumIn(text, found.tree),
      async stillSame() {
        const now = [await lookAt(tree), await lookAt(contents)]
        if (JSON.stringify(now) === JSON.stringify(before)) return
        throw new RequestError(
          'DAMAGED',
          `${found.tree} or ${found.contents} was changed while it was read`,
          {
            hint: 'refresh again when all is copied',
          },
        )
      },
    }
  }

  async #nameOf(stem: string): Promise<string | undefined> {
    const file = nameFile(stem)
    const text = await readSmall(join(this.path, file))
    return text === undefined ? undefined : nameIn(text, file)
  }

  async #names(): Promise<string[]> {
    try {
      return (await readdir(this.path)).sort()
    } catch (cause) {
      const code = systemCode(cause)
      if (code === 'ENOENT') {
        throw new RequestError('NOT_FOUND', `there is no directory ${this.path}`, {
          hint: 'make it, or set rsync-packed to where packed builds are',
        })
      }
      throw new SystemError('REFUSED', `${this.path} cannot be read (${code})`, {
        hint: `let the user of this server read it, uid ${process.geteuid?.()}`,
        cause,
      })
    }
  }
}
