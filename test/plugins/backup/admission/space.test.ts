import { spawnSync } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { loadPerCpu } from '../../../../plugins/backup/admission/load.js'
import { roomIn, shortage } from '../../../../plugins/backup/admission/space.js'

/** A disk of its own; undefined, and the test skipped, where this user cannot mount one. */
async function disk(t: Test, options: string): Promise<string | undefined> {
  const folder = await mkdtemp(join(tmpdir(), 'sugar-test-'))
  t.teardown(() => rm(folder, { recursive: true }))
  const { status, error, stderr } = spawnSync('mount', ['-t', 'tmpfs', '-o', options, 'tmpfs', folder])
  if (status !== 0) {
    t.pass('needs a mounted tmpfs', { skip: `mount: ${error?.message ?? String(stderr).trim()}` })
    return undefined
  }
  t.teardown(() => void spawnSync('umount', [folder]))
  return folder
}

t.test('a disk that fills up says how much is free and what to do', async (t) => {
  const folder = await disk(t, 'size=4m')
  if (folder === undefined) return
  t.equal(await roomIn(folder, 10), undefined)
  await writeFile(join(folder, 'ballast'), Buffer.alloc(3_900_000))
  t.match(
    await roomIn(folder, 10),
    /^only 2\d\d(\.\d)? KB \(\d\.\d %\) are free on the disk of .*, and 10 % are to stay free: remove/,
  )
  t.equal(await roomIn(folder, 1), undefined)
})

t.test('so does one that runs out of inodes', async (t) => {
  const folder = await disk(t, 'size=4m,nr_inodes=50')
  if (folder === undefined) return
  t.equal(await roomIn(folder, 10), undefined)
  for (let index = 0; index < 47; index += 1) await writeFile(join(folder, String(index)), '')
  t.match(await roomIn(folder, 10), /^only 2 inodes \(4\.0 %\) are free .*: remove small files/)
})

t.test('a disk without a count of inodes is no full one; what root may use does not count', (t) => {
  const stats = { type: 0, bsize: 4096, blocks: 1000, bfree: 100, bavail: 50, files: 0, ffree: 0 }
  t.equal(shortage(stats, '/srv', 5), undefined)
  t.match(shortage(stats, '/srv', 6), /^only 204\.8 KB \(5\.3 %\)/)
  t.match(shortage({ ...stats, bavail: 0, bfree: 0 }, '/srv', 5), /^only 0 bytes \(0\.0 %\)/)
  t.match(shortage({ ...stats, blocks: 0, bavail: 0, bfree: 0 }, '/srv', 5), /^only 0 bytes/)
  t.end()
})

t.test('a disk that is not there is said to be so', async (t) => {
  t.match(
    await roomIn('/nowhere/at/all', 5),
    /^the disk of \/nowhere\/at\/all cannot be looked at \(ENOENT\): mount it/,
  )
})

t.test('the load is one of a machine', (t) => {
  t.ok(loadPerCpu() >= 0)
  t.end()
})
