import { createHash } from 'node:crypto'
import { cp, mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { entryPath, listEntries, makeJournal } from '../../sugaroid/index.js'
import { placeOf } from '../support/disk.js'
import { isThere, run } from '../support/run.js'
import { inMegabytes, inSeconds, say, sayRatio } from '../support/words.js'
import { Archive } from './archive.js'
import type { Stage } from './stage.js'

const pupils = 20
/** What each has for itself; as much again all have in common. */
const own = { entries: 250, megabytes: 37.5 }

interface Repository {
  readonly folder: string
  /** Takes a folder in. @returns seconds */
  add(folder: string, name: string): Promise<number>
}

/** The Journals of a class: what they worked on together, each has under a name of its own. */
export async function classroom(stage: Stage): Promise<void> {
  const root = join(stage.folder, 'class')
  const archive = await Archive.open(join(root, 'archive'))
  try {
    const shared = join(root, 'shared')
    await makeJournal(shared, { ...own, seed: 'class' })
    const peers = await repositories(root)
    const seconds = new Map(['ours', ...peers.keys()].map((name) => [name, 0]))
    for (let pupil = 1; pupil <= pupils; pupil += 1) {
      const live = await archive.live(pupil)
      await makeJournal(live, { ...own, seed: `pupil ${pupil}` })
      await share(shared, live, pupil)
      const sides: [string, () => Promise<number>][] = [
        ['ours', async () => (await archive.snapshot(pupil)).seconds],
        ...[...peers].map(([name, { add }]): [string, () => Promise<number>] => [
          name,
          () => add(live, `pupil-${pupil}`),
        ]),
      ]
      for (const [name, take] of pupil % 2 === 0 ? sides : sides.toReversed())
        seconds.set(name, (seconds.get(name) ?? 0) + (await take()))
    }
    const whole = await placeOf(archive.layout.lives)
    say(
      'class',
      `${pupils} Journals of ${2 * own.entries} entries, half of them shared; ${inMegabytes(whole.bytes)} of the disk as they lie there`,
    )
    const ours = (await archive.place()).bytes
    const took = (name: string) => seconds.get(name) ?? Number.NaN
    say(
      'class',
      `ours: ${inMegabytes(ours)} in ${inSeconds(took('ours'))}; objects that share inodes with live files are counted in full`,
    )
    for (const [name, { folder }] of peers) {
      const { bytes } = await placeOf(folder)
      const goal = (text: string) => (name === 'restic' ? text : 'for information')
      say('class', `${name}: ${inMegabytes(bytes)} in ${inSeconds(took(name))}`)
      sayRatio(`ours / ${name}, disk`, ours / bytes, goal('at most 1.05'))
      sayRatio(`ours / ${name}, time`, took('ours') / took(name), goal('at most 0.6'))
    }
    stage.archivePeak = Math.max(stage.archivePeak, archive.peaks.archive)
  } finally {
    await archive.close()
    await rm(root, { recursive: true })
  }
}

/** Copies entries as Sugar does when one is sent to a friend: the same bytes under a new name. */
async function share(from: string, to: string, pupil: number): Promise<void> {
  for (const uid of await listEntries(from)) {
    const hex = createHash('md5').update(`${pupil} ${uid}`).digest('hex')
    const another = hex.replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-')
    await cp(entryPath(from, uid), entryPath(to, another), { recursive: true, preserveTimestamps: true })
  }
}

/** The Debian packages of the peers. */
const packageOf = { restic: 'restic', borg: 'borgbackup' } as const

/** Those of the peers that are installed, with a repository each. */
async function repositories(root: string): Promise<Map<string, Repository>> {
  const found = new Map<string, Repository>()
  for (const [name, open] of [
    ['restic', restic],
    ['borg', borg],
  ] as const) {
    if (await isThere(name)) found.set(name, await open(join(root, name)))
    else say('class', `${name} is not installed, and skipped: apt-get install ${packageOf[name]}`)
  }
  return found
}

async function restic(root: string): Promise<Repository> {
  const folder = join(root, 'repository')
  const env = { RESTIC_PASSWORD: 'bench', RESTIC_CACHE_DIR: join(root, 'cache') }
  await run('restic', ['-q', '-r', folder, 'init'], env)
  return {
    folder,
    add: async (from) => (await run('restic', ['-q', '-r', folder, 'backup', from], env)).seconds,
  }
}

async function borg(root: string): Promise<Repository> {
  const folder = join(root, 'repository')
  const env = { BORG_BASE_DIR: join(root, 'base'), BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK: 'yes' }
  await mkdir(root)
  await run('borg', ['init', '-e', 'none', folder], env)
  return {
    folder,
    add: async (from, name) => (await run('borg', ['create', `${folder}::${name}`, from], env)).seconds,
  }
}
