import { createHash } from 'node:crypto'
import { lstat, readdir, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { changeJournal } from '../../sugaroid/index.js'
import { median } from '../support/process.js'
import { copyByRsync } from '../support/rsync.js'
import { run } from '../support/run.js'
import { inTurn, type Taken } from '../support/turns.js'
import { inMegabytes, inSeconds, say, sayRatio, sayTimes, secondsOf } from '../support/words.js'
import { Archive } from './archive.js'
import type { Stage } from './stage.js'

/** Kilobytes of the disk, in whole blocks. */
const inKilobytes = (bytes: number): string => `${Math.round(bytes / 1024)} KB`

/** Snapshots of a large Journal: nothing has changed, or one entry in a hundred. */
export async function snapshot(stage: Stage): Promise<void> {
  const root = join(stage.folder, 'snapshot')
  const archive = await Archive.open(join(root, 'archive'))
  try {
    const trees = {
      root,
      // The laptop's own, which changes; and how it lies on the server.
      journal: join(root, 'journal'),
      live: await archive.live(1),
      // The peers have one of their own: a new link to a file is a change of it, and ours would read it again.
      mirror: join(root, 'mirror'),
    }
    for (const tree of [trees.journal, trees.live, trees.mirror])
      await copyByRsync(await stage.journal(), tree)
    const { seconds } = await archive.snapshot(1)
    say('snapshot', `of the same Journal; the first one, of everything, took ${inSeconds(seconds)}`)
    await ofTheSame(stage, archive, trees)
    await ofChanges(stage, archive, trees)
    stage.archivePeak = Math.max(stage.archivePeak, archive.peaks.archive)
  } finally {
    await archive.close()
    await rm(root, { recursive: true })
  }
}

interface Trees {
  readonly root: string
  readonly journal: string
  readonly live: string
  readonly mirror: string
}

async function ofTheSame(stage: Stage, archive: Archive, trees: Trees): Promise<void> {
  const before = await archive.place()
  const { ours, peer } = await inTurn(2 * stage.rounds + 1, {
    peer: () => copyAsLinks(trees),
    ours: () => archive.snapshot(1),
  })
  const after = await archive.place()
  sayTimes('cp -al', peer)
  sayTimes('ours, same', ours)
  const [bytes, inodes] = [after.bytes - before.bytes, after.inodes - before.inodes]
  say('added', `ours, nothing changed: ${bytes} bytes, ${inodes} inodes  (0, 0)`)
  sayRatio('ours / cp -al, nothing changed', secondsOf(ours) / secondsOf(peer), 'at most 1.0')
}

async function ofChanges(stage: Stage, archive: Archive, trees: Trees): Promise<void> {
  const { journal, live, mirror, root } = trees
  const added: Added[] = []
  let day = -1
  // Whoever comes first in a round begins the day.
  const change = async (round: number) => {
    if (round > day) await changeJournal(journal, { percent: 1, seed: String(round) })
    day = round
  }
  const { ours, links, rsync } = await inTurn(2 * stage.rounds + 1, {
    links: () => copyAsLinks(trees),
    rsync: async (round) => {
      await change(round)
      const to = join(root, 'linked')
      const { seconds } = await copyByRsync(journal, to, `--link-dest=${mirror}`)
      await rm(to, { recursive: true })
      await copyByRsync(journal, mirror)
      return { seconds }
    },
    ours: async (round) => {
      await change(round)
      const { output } = await copyByRsync(journal, live, '--out-format=%n')
      const before = await filesOf(archive)
      const { seconds, fresh } = await archive.snapshot(1)
      if (!fresh) throw new Error('a snapshot of a changed Journal is not new')
      added.push(await addedTo(archive, before, await contentsOf(live, output.split('\n'))))
      return { seconds }
    },
  })
  sayTimes('cp -al', links)
  sayTimes('rsync --link-dest', rsync)
  sayTimes('ours, 1 % changed', ours)
  const content = median(added.map((one) => one.content))
  const beyond = median(added.map((one) => one.beyond))
  say(
    'added',
    `ours, 1 % changed: ${inMegabytes(content)} of changed contents, and ${inKilobytes(beyond)} beyond them  (at most 200 KB)`,
  )
  sayRatio('ours / cp -al, 1 % changed', secondsOf(ours) / secondsOf(links), 'at most 1.0')
  sayRatio('ours / rsync --link-dest', secondsOf(ours) / secondsOf(rsync), 'for information')
}

async function copyAsLinks({ root, mirror }: Trees): Promise<Taken> {
  const to = join(root, 'linked')
  const { seconds } = await run('cp', ['-al', mirror, to])
  await rm(to, { recursive: true })
  return { seconds }
}

/** Names of objects that the contents of files would have, where rsync says that it made or changed them. */
async function contentsOf(live: string, names: readonly string[]): Promise<Set<string>> {
  const found = new Set<string>()
  for (const name of names) {
    if (name === '' || name.endsWith('/') || name.startsWith('deleting ')) continue
    found.add(
      createHash('sha256')
        .update(await readFile(join(live, name)))
        .digest('hex'),
    )
  }
  return found
}

/** All files of history, with their blocks. */
async function filesOf({ layout }: Archive): Promise<Map<string, number>> {
  const files = new Map<string, number>()
  for (const folder of [layout.objects, layout.allSnapshots]) {
    for (const name of await readdir(folder, { recursive: true })) {
      const path = join(folder, name)
      files.set(path, (await lstat(path)).blocks * 512)
    }
  }
  return files
}

/** Bytes of the disk that a snapshot added, in whole blocks. */
interface Added {
  /** For contents of files. */
  content: number
  /** For all else. */
  beyond: number
}

async function addedTo(
  archive: Archive,
  before: ReadonlyMap<string, number>,
  contents: ReadonlySet<string>,
): Promise<Added> {
  const added = { content: 0, beyond: 0 }
  for (const [path, blocks] of await filesOf(archive)) {
    if (before.has(path)) continue
    const name = path.split('/').slice(-2).join('').replace(/\.z$/, '')
    added[contents.has(name) ? 'content' : 'beyond'] += blocks
  }
  return added
}
