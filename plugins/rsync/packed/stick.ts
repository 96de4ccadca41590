import { join } from 'node:path'
import { type CoreConfig, openMedium, RequestError, SugarError } from '../../../core/api.js'
import { largestManifest } from '../builds/manifest.js'
import { telling } from '../builds/telling.js'
import type { Progress } from '../public.js'
import { isPart, nameFile, type TreeName, treeName } from './families.js'
import { nameIn } from './name.js'
import type { Outcome } from './outcome.js'
import { Staging } from './staging.js'

/** The directory of a stick where builds lie. */
export const home = 'xs-xobuilds'

/** Bytes of a file that holds a line or a few. */
const largestText = 64 * 1024

export interface Sticking {
  readonly mountpoint: string
  /** `rsync-packed`. */
  readonly to: string
  /** Bytes that a packed tree may have. */
  readonly largestTree: number
  readonly config: Pick<CoreConfig, 'root' | 'security' | 'security-keys'>
}

type Medium = Awaited<ReturnType<typeof openMedium>>

/** Builds of a stick: those that were copied, by the names under which they are to be published, and what was not. */
export interface Copied {
  readonly names: readonly string[]
  readonly refused: readonly Outcome[]
}

/**
 * Copies the builds of a USB stick into `rsync-packed`, as far as its manifest names all of them; the sums of all files
 * of a build are checked before one of them takes the place of another.
 * @throws SugarError when the stick is not to be trusted at all, or there is no room
 */
export async function copyBuilds(sticking: Sticking, progress: Progress): Promise<Copied> {
  const { mountpoint, config } = sticking
  const { signal } = progress
  const keys = config['security-keys'] || join(config.root, 'trusted.gpg')
  const medium = await openMedium(mountpoint, { folder: home, security: config.security, keys, signal })
  const refused: Outcome[] = []
  const refuse = (name: string, note: string) => refused.push({ name, what: 'refused', note })
  for (const { name, reason } of medium.strangers) if (!isHidden(name)) refuse(name, reason)

  const trees = medium.names.flatMap((name) => treeName(name) ?? [])
  const wanted = new Set(trees.flatMap((tree) => filesOf(tree)))
  for (const name of medium.names) {
    if (isHidden(name) || wanted.has(name)) continue
    refuse(
      name,
      isPart(name) ? 'the tree that it belongs to is not on the stick' : 'it is no part of a packed build',
    )
  }
  const names: string[] = []
  for (const tree of trees) {
    try {
      names.push(await copyBuild(medium, tree, sticking, progress))
    } catch (error) {
      if (!(error instanceof SugarError) || signal.aborted || error.code === 'NO_SPACE') throw error
      refuse(tree.tree, error.message.replaceAll(`${mountpoint}/`, ''))
    }
  }
  return { names, refused }
}

/** Whether a file is some system's own: `.DS_Store`, `._os885.name`. */
const isHidden = (name: string): boolean => name.startsWith('.')

/** The file with the name last: before it is there, a build is none. */
const filesOf = ({ tree, sum, contents, stem }: TreeName): string[] => [tree, sum, contents, nameFile(stem)]

async function copyBuild(
  medium: Medium,
  tree: TreeName,
  { to, largestTree }: Sticking,
  { note }: Progress,
): Promise<string> {
  const file = nameFile(tree.stem)
  const parts = filesOf(tree).filter((part) => part !== tree.sum || tree.needsSum || medium.has(part))
  const missing = parts.find((part) => !medium.has(part))
  if (missing !== undefined) {
    throw new RequestError(
      'NOT_FOUND',
      `it is of no use without ${missing}, which manifest.sha1 does not name`,
    )
  }
  const name = nameIn((await medium.read(file, { limit: largestText })).toString('latin1'), file)
  const staging = await Staging.begin(to)
  try {
    for (const part of parts) {
      const limit = part === tree.tree ? largestTree : part === tree.contents ? largestManifest : largestText
      note(`copying ${part}`)
      await medium.copy(part, staging.at(part), { limit, progress: telling(part, note) })
    }
    // The sum of a tree that is replaced is none of the new one.
    await staging.place(parts, parts.includes(tree.sum) ? [] : [tree.sum])
  } finally {
    await staging.end()
  }
  return name
}
