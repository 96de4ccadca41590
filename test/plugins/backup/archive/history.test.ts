import { execFileSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import t from 'tap'
import { weighHistory } from '../../../../plugins/backup/archive/history.js'
import { Shelf } from '../../../../plugins/backup/archive/shelf.js'
import { blocksOf, weightOf } from '../../../../plugins/backup/archive/weight.js'
import { sizeOf } from '../../../../plugins/backup/session/size.js'
import { journalOf, learner, newArchive, put, snapshot, usage } from '../../../support/backup/test-archive.js'
import { temporaryDirectory } from '../../../support/temporary-directory.js'

t.setTimeout(200_000)

const ana = learner(1)
const free = () => false
const megabyte = 1_000_000

t.test('what a laptop sends counts as the disk counts it, whatever it is', async (t) => {
  const folder = await temporaryDirectory(t)
  // Bytes of the disk by the disk itself; those of inodes, which ext4 has set aside, are not among them.
  const du = () =>
    Number(execFileSync('du', ['-s', '--block-size=1', folder], { encoding: 'utf8' }).split('\t')[0])
  const before = du()
  const near = async (what: string) => {
    const { bytes } = await sizeOf(folder)
    const disk = du() - before
    t.ok(bytes > 0.9 * disk && bytes < 1.6 * disk + 100_000, `${what}: ${bytes} for ${disk}`)
  }
  const make = (name: string, one: (path: string, number: number) => void, count: number) => {
    mkdirSync(join(folder, name))
    for (let number = 0; number < count; number += 1)
      one(join(folder, name, `${number} `.padEnd(200, 'n')), number)
  }
  make('links', (path) => symlinkSync('t'.repeat(3000), path), 600)
  await near('long links')
  rmSync(join(folder, 'links'), { recursive: true })
  make('small', (path) => writeFileSync(path, 'x'), 600)
  await near('files of one byte')
  rmSync(join(folder, 'small'), { recursive: true })
  make('folders', (path) => mkdirSync(path), 600)
  await near('directories')
  rmSync(join(folder, 'folders'), { recursive: true })
  make('empty', (path) => writeFileSync(path, ''), 6000)
  const { bytes } = await sizeOf(folder)
  t.ok(bytes > 6000 * (256 + 200), 'empty files take inodes and names')
})

t.test('no way to spread bytes over files makes them lighter', async (t) => {
  const kind = fc.constantFrom('file', 'directory', 'link', 'other')
  fc.assert(
    fc.property(kind, fc.nat(2 ** 40), fc.nat(255), (one, size, name) => {
      const weight = weightOf(one, size, name)
      return (
        Number.isSafeInteger(weight) &&
        weight >= 256 + name &&
        (one !== 'file' || weight >= size) &&
        weight <= weightOf(one, size) &&
        blocksOf(size) - size < 4096
      )
    }),
  )
  t.pass('there is none')
})

t.test('what is only in the history counts, once, and what the live tree has does not', async (t) => {
  const layout = newArchive(t)
  const journal = journalOf(layout, ana)
  const history = () => weighHistory(layout, ana, undefined, free).bytes
  t.equal(history(), 0)
  put(journal, 'film', randomBytes(3 * megabyte))
  await snapshot(layout, ana)
  t.ok(history() < 100_000, `${history()}: the film is the one of the live tree`)
  rmSync(join(journal, 'film'))
  put(journal, 'poem', 'short')
  await snapshot(layout, ana)
  t.ok(history() > 3 * megabyte && history() < 3.1 * megabyte, `${history()}: now it is the history's`)
  put(journal, 'poem', 'another')
  await snapshot(layout, ana)
  const { bytes, inodes } = usage(layout)
  t.ok(Math.abs(history() - bytes) < 0.1 * bytes + inodes * 600, `${history()} for ${bytes} of the disk`)
})

t.test('where the history is too much the oldest goes, and never what must stay', async (t) => {
  const layout = newArchive(t)
  const journal = journalOf(layout, ana)
  for (let day = 0; day < 6; day += 1) {
    put(journal, 'film', randomBytes(megabyte))
    await snapshot(layout, ana)
  }
  const shelf = new Shelf(layout, ana)
  const ids = shelf.ids()
  const [first = '', second = '', third = '', fourth = ''] = ids
  shelf.hold(second, { by: 'operator', why: 'to look at' })
  const before = weighHistory(layout, ana, undefined, free).bytes
  t.same(weighHistory(layout, ana, before, free).removed, [], 'what fits stays')
  const fitted = weighHistory(layout, ana, 3.5 * megabyte, (id) => id === third)
  t.same(fitted.removed, [first, fourth], 'the oldest that nobody holds or reads')
  t.ok(fitted.bytes <= 3.5 * megabyte)
  t.equal(weighHistory(layout, ana, undefined, free).bytes, fitted.bytes)
  t.same(weighHistory(layout, ana, 0, free).removed, [third, ids[4]])
  t.same(shelf.ids(), [second, ids[5]])
})
