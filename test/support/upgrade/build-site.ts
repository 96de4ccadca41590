import { mkdir, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { Test } from 'tap'
import { RequestError } from '../../../core/api.js'
import type { Build } from '../../../plugins/rsync/public.js'
import type { Patience, Site, Source } from '../../../plugins/upgrade/sources/source.js'
import { temporaryDirectory } from '../temporary-directory.js'

/** Waits that are over soon. */
export const soon: Patience = { idle: 400, pauses: [1, 1, 1, 1] }

export interface TestSite extends Site {
  /** What was installed. */
  readonly installed: { digest: string | undefined; tree: Buffer; contents: string }[]
  /** What was adopted. */
  readonly adopted: string[]
  readonly rooms: [packed: number, unpacked: number, here?: number][]
  /** Where what comes file by file comes to. */
  readonly arriving: string
  readonly steps: [bytes: number, total: number | undefined][]
  stop: AbortController
}

/** A place that a build is brought to, and nothing is published from. */
export async function site(
  t: Pick<Test, 'teardown'>,
  { name = '885', spare = 1e9, folder }: { name?: string; spare?: number; folder?: string } = {},
): Promise<TestSite> {
  const root = await temporaryDirectory(t)
  const installed: TestSite['installed'] = []
  const adopted: string[] = []
  const rooms: TestSite['rooms'] = []
  const steps: TestSite['steps'] = []
  const stop = new AbortController()
  const build = { name, path: root, digest: '', bytes: 1, entries: 1, publishedAt: '', from: 'upgrade' }
  const at = folder ?? join(root, 'downloads', name)
  const arriving = join(root, 'arriving')
  await mkdir(at, { recursive: true })
  return {
    ...{ name, folder: at, arriving, installed, adopted, rooms, steps, stop, signal: stop.signal },
    builds: {
      list: () => [],
      missing: () => [],
      get: () => undefined,
      remove: async () => false,
      keep: () => () => undefined,
      arrivals: {
        list: async () => [],
        async folder(build) {
          const path = join(arriving, build)
          await mkdir(path, { recursive: true })
          return path
        },
        drop: (build) => rm(join(arriving, build), { recursive: true, force: true }),
      },
      async install({ tree, contents, digest }): Promise<Build> {
        installed.push({ digest, tree: await readFile(tree), contents: await readFile(contents, 'utf8') })
        return build
      },
      async adopt(_, directory): Promise<Build> {
        adopted.push(directory)
        return build
      },
      async scratch() {
        throw new Error('nothing is brought to a scratch directory')
      },
    },
    progress: (bytes, total) => steps.push([bytes, total]),
    unpacking: () => undefined,
    note: () => undefined,
    spare: async () => spare,
    async makeRoom(packed, unpacked, here) {
      rooms.push(here === undefined ? [packed, unpacked] : [packed, unpacked, here])
      if (packed > spare) throw new RequestError('NO_SPACE', 'there is too little room')
    },
  }
}

/** Has a source find a build and bring it. */
export async function bring(source: Source, to: Site): Promise<Build> {
  const offer = await source.find(to.name, to.signal)
  if (offer === undefined) throw new Error(`${source.shown} does not have ${to.name}`)
  return await offer.bring(to)
}
