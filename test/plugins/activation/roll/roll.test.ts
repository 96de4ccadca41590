import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readdirSync, statSync } from 'node:fs'
import { mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import type { Change } from '../../../../plugins/activation/roll/change.js'
import { writeChanges } from '../../../../plugins/activation/roll/change-file.js'
import type { Roll } from '../../../../plugins/activation/roll/roll.js'
import { laptop, rollOf } from '../../../support/activation/activation-school.js'
import { lacks } from '../../../support/needs.js'
import { rounds } from '../../../support/rounds.js'
import { temporaryDirectory } from '../../../support/temporary-directory.js'

t.setTimeout(300_000)

const many = 2000

/** An import of one kind: all laptops get the same school. */
const round = (school: string): Change[] =>
  Array.from({ length: many }, (_, index) => ({ serial: laptop(index).serial, laptop: { school } }))

const schoolsOf = (roll: Roll): string[] => [
  ...new Set([...roll.all()].map(({ laptop }) => laptop?.school ?? '')),
]

t.test('what is applied is there at once, and after a restart', async (t) => {
  const root = await temporaryDirectory(t)
  const { serial, uuid } = laptop(1)
  const first = await rollOf(t, root)
  const theft = { serial, reason: 'gone', at: '2026-11-20T08:00:00.000Z' }
  const stock = { serial, sig01: { line: 'act01: ...', until: '20270101T000000Z' } }
  await first.roll.apply([{ serial, laptop: { uuid, group: 'A', days: 5 }, stock, theft }])
  await first.roll.apply([
    { serial, laptop: { group: null, old: true } },
    { serial: laptop(2).serial, laptop: {} },
  ])
  await first.roll.setGroup('A', 9)
  await first.roll.setGroup('B', 9)
  await first.roll.setGroup('A', 10)
  await first.roll.setGroup('B', undefined)
  const expected = { serial, laptop: { serial, uuid, days: 5, old: true }, stock, theft }
  t.same(first.roll.get(serial), expected)
  t.same(await readdir(join(root, 'activation')), [], 'no file with uuids is left')
  await first.store.close()
  const { roll } = await rollOf(t, root)
  t.same(roll.get(serial), expected)
  t.same(roll.get(laptop(2).serial), { serial: laptop(2).serial, laptop: { serial: laptop(2).serial } })
  t.same([roll.group('A'), roll.group('B')], [{ name: 'A', days: 10 }, undefined])
  t.equal(roll.size, 2)
})

t.test('calls at the same time do not mix, and the later one counts', async (t) => {
  const root = await temporaryDirectory(t)
  const { roll, store } = await rollOf(t, root)
  await Promise.all(['A', 'B', 'C'].map((school) => roll.apply(round(school))))
  t.same(schoolsOf(roll), ['C'])
  await store.close()
  t.same(schoolsOf((await rollOf(t, root)).roll), ['C'])
})

t.test('what a killed server had begun is finished by the next, as often as it takes', async (t) => {
  const root = await temporaryDirectory(t)
  await mkdir(join(root, 'activation'), { mode: 0o700 })
  const file = join(root, 'activation', 'changes.jsonl')
  await writeChanges(file, round('A'))
  t.equal((await stat(file)).mode & 0o777, 0o600)
  const first = await rollOf(t, root)
  t.same(schoolsOf(first.roll), ['A'])
  t.notOk(existsSync(file))
  await first.store.close()
  await writeChanges(file, round('A'))
  const second = await rollOf(t, root)
  t.same(schoolsOf(second.roll), ['A'], 'made twice it is the same')
  t.equal(second.roll.size, many)
})

t.test('what a server that was killed had only begun to write is removed: it holds uuids', async (t) => {
  const root = await temporaryDirectory(t)
  const place = join(root, 'activation')
  await mkdir(place, { mode: 0o700 })
  for (const name of ['changes.jsonl.0badcafe.part', 'changes.jsonl.kept', 'other.part'])
    await writeFile(join(place, name), 'x')
  await rollOf(t, root)
  t.same((await readdir(place)).sort(), ['changes.jsonl.kept', 'other.part'], 'and nothing else')
})

t.test('what cannot be removed keeps no laptop waiting', async (t) => {
  const root = await temporaryDirectory(t)
  await mkdir(join(root, 'activation', 'changes.jsonl.0badcafe.part'), { recursive: true, mode: 0o700 })
  const { roll } = await rollOf(t, root)
  await roll.apply(round('A').slice(0, 1))
  t.equal(roll.size, 1)
})

t.test('a file of changes that the disk damaged is put aside, and laptops are served', async (t) => {
  const root = await temporaryDirectory(t)
  await mkdir(join(root, 'activation'), { mode: 0o700 })
  const file = join(root, 'activation', 'changes.jsonl')
  for (const damage of [
    (text: string) => text.slice(0, -20),
    (text: string) => text.replace('"', '\0'),
    () => '',
  ]) {
    await writeChanges(file, round('A'))
    await writeFile(file, damage(await readFile(file, 'utf8')))
    const { roll, store } = await rollOf(t, root)
    t.equal(roll.size, 0, 'no part of it is taken')
    await store.close()
    t.notOk(existsSync(file))
  }
  const names = await readdir(join(root, 'activation'))
  t.ok(names.length > 0 && names.every((name) => name.startsWith('changes.jsonl.damaged-')))
})

const child = fileURLToPath(new URL('../../../support/activation/roll-process.js', import.meta.url))

t.test('kill -9 in the middle of an import leaves the old roll or the new, never a mixture', async (t) => {
  const root = await temporaryDirectory(t)
  const files = () => (existsSync(join(root, 'activation')) ? readdirSync(join(root, 'activation')) : [])
  const moments: [string, () => boolean][] = [
    ['while the file of changes is written', () => files().some((name) => name.endsWith('.part'))],
    ['when it has its name', () => files().includes('changes.jsonl')],
    ['while documents are written', () => isLarge(join(root, 'store', 'activation.laptops.db'))],
  ]
  let before = ''
  let largest = 0
  const isLarge = (path: string) => existsSync(path) && statSync(path).size > largest + 100_000
  const seen: string[] = []
  const times = Array.from({ length: rounds(2, 1) }, () => moments).flat()
  for (const [index, [when, isNow]] of times.entries()) {
    const school = `run ${index}`
    const killed = spawn(process.execPath, [child, root, String(many), school], {
      stdio: ['ignore', 'pipe', 'inherit'],
      timeout: 60_000,
    })
    const closed = once(killed, 'close')
    let said = ''
    killed.stdout.setEncoding('utf8').on('data', (text: string) => {
      said += text
    })
    while (!isNow() && !said.includes('done')) await new Promise(setImmediate)
    killed.kill('SIGKILL')
    await closed
    const { roll, store } = await rollOf(t, root)
    const schools = schoolsOf(roll)
    // What was said to be done must be there.
    const allowed = said.includes('done') ? [school] : [before, school]
    t.ok(schools.length <= 1 && allowed.includes(schools[0] ?? ''), `${when}: ${schools}`)
    t.ok(roll.size === 0 || roll.size === many, 'and no laptop is missing')
    seen.push(schools[0] === school ? 'new' : 'old')
    before = schools[0] ?? ''
    await store.close()
    largest = statSync(join(root, 'store', 'activation.laptops.db')).size
  }
  t.comment(seen.join(', '))
  t.ok(seen.includes('new'))
})

t.test('a full disk refuses an import, and the roll stays as it was', async (t) => {
  const disk = await temporaryDirectory(t)
  const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=2m', 'tmpfs', disk], { timeout: 10_000 })
  if (mounted.status !== 0) return lacks(t, 'needs a small disk', 'this user cannot mount one')
  t.teardown(() => void spawnSync('umount', ['-l', disk], { timeout: 10_000 }))
  const root = join(disk, 'root')
  await mkdir(root, { mode: 0o700 })
  const { roll, store } = await rollOf(t, root)
  const few = round('A').slice(0, 100)
  await roll.apply(few)
  const filler = join(disk, 'filler')
  await writeFile(filler, Buffer.alloc(4 << 20)).catch(() => undefined)
  await t.rejects(roll.apply(round('B')), { code: 'NO_SPACE' })
  t.same(schoolsOf(roll), ['A'])
  t.same(await readdir(join(root, 'activation')), [], 'no part of a file is left')
  await writeFile(filler, '')
  await roll.apply(few.map((change) => ({ ...change, laptop: { school: 'C' } })))
  t.same(schoolsOf(roll), ['C'], 'and takes it when there is room')
  await store.close()
})

t.test('an import that the disk took but the store could not is there, and after a restart', async (t) => {
  const root = await temporaryDirectory(t)
  const first = await rollOf(t, root)
  await first.roll.apply(round('A'))
  await first.store.close()
  // Its documents cannot be written any more; the file of changes can.
  await first.roll.apply(round('B').slice(0, 10))
  t.same(schoolsOf(first.roll).sort(), ['A', 'B'])
  t.ok(existsSync(join(root, 'activation', 'changes.jsonl')))
  await t.rejects(
    first.roll.apply(round('C')),
    { code: 'STORE_CLOSED' },
    'what came before must be written first',
  )
  t.same(schoolsOf(first.roll).sort(), ['A', 'B'], 'and nothing was changed')
  const { roll } = await rollOf(t, root)
  t.same(schoolsOf(roll).sort(), ['A', 'B'])
  t.notOk(existsSync(join(root, 'activation', 'changes.jsonl')))
})
