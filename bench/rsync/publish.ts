import { createCipheriv } from 'node:crypto'
import { mkdir, readdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { run } from '../support/run.js'
import { inTurn, type Taken } from '../support/turns.js'
import { inMegabytes, say, sayRatio, sayTimes, secondsOf } from '../support/words.js'
import type { Stage } from './stage.js'

const program = fileURLToPath(new URL('../../core/bin/sugar-server.js', import.meta.url))

/** What packs a tree, by what the packed file ends in; the level that is quick, since only unpacking is measured. */
const packers = { xz: ['xz', '-1'], bz2: ['bzip2', '-1'] } as const

/** A build of 300 MB: `rsync refresh --force` of it beside GNU tar, which only unpacks. */
export async function publish(stage: Stage): Promise<void> {
  const { folder, rounds } = stage
  const tree = join(folder, 'system')
  const { files, bytes } = await makeSystem(tree)
  say(
    'publish',
    `${files} files, ${inMegabytes(bytes)}: sums, checks, attributes and flush; tar unpacks alone`,
  )
  const packed = join(folder, 'rsync', 'xobuilds-packed')
  for (const [ending, [packer, level]] of Object.entries(packers)) {
    const file = join(packed, `${ending}-tree.tar.${ending}`)
    await run('tar', ['-C', tree, '-I', `${packer} ${level}`, '-cf', file, '.'])
    const { output } = await run('md5sum', [file])
    await writeFile(`${file}.md5`, output)
    await writeFile(join(packed, `${ending}.contents`), '{}\n')
    await writeFile(join(packed, `${ending}.name`), `${ending}\n`)
    const to = join(folder, 'unpacked')
    const taken = await inTurn(rounds, {
      peer: () => unpack(file, to),
      ours: () => refresh(folder, ending),
    })
    sayTimes(`tar, ${ending}`, taken.peer)
    sayTimes('ours', taken.ours)
    sayRatio(`time, ours / tar, ${ending}`, secondsOf(taken.ours) / secondsOf(taken.peer), 'within 1.3')
    await rm(to, { recursive: true, force: true })
  }
  await rm(tree, { recursive: true })
}

async function refresh(folder: string, name: string): Promise<Taken> {
  const place = ['--root', join(folder, 'root'), '--rsync-root', join(folder, 'rsync')]
  const words = [...place, '--plugins', 'rsync', 'rsync', 'refresh', '--force', name]
  const taken = await run(process.execPath, [program, ...words])
  // What it replaced is removed behind it; that is not to disturb whoever comes next.
  while ((await readdir(join(folder, 'rsync', 'making'))).length > 0) await sleep(50)
  return taken
}

/** As nice as our programs are, so that others who work on the machine disturb both. */
async function unpack(file: string, to: string): Promise<Taken> {
  await rm(to, { recursive: true, force: true })
  await mkdir(to)
  return run('nice', ['-n', '10', 'tar', '-x', '-p', '-f', file, '-C', to])
}

/** Sizes as they are in a system: most files are small, most bytes are in large ones. */
const sizes: readonly [count: number, size: number][] = [
  [6000, 700],
  [4000, 6000],
  [1500, 40_000],
  [200, 400_000],
  [15, 9_000_000],
]
const together = 100

/** Half of each file is noise and half of it is not, so that it packs as programs do. */
async function makeSystem(folder: string): Promise<{ files: number; bytes: number }> {
  const chance = createCipheriv('aes-128-ctr', Buffer.alloc(16), Buffer.alloc(16))
  let files = 0
  let bytes = 0
  for (const [count, size] of sizes) {
    for (let index = 0; index < count; index += 1) {
      const place = join(folder, `${size}`, `${Math.floor(index / together)}`)
      if (index % together === 0) await mkdir(place, { recursive: true })
      const text = Buffer.alloc(size, `${index} is what is written in it\n`)
      chance.update(Buffer.alloc(size >> 1)).copy(text)
      await writeFile(join(place, `${index}`), text)
      files += 1
      bytes += size
    }
  }
  return { files, bytes }
}
