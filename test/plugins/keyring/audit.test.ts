import { spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  appendFileSync,
  copyFileSync,
  existsSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import fc from 'fast-check'
import t from 'tap'
import { Audit } from '../../../plugins/keyring/audit/audit.js'
import {
  entry,
  filled,
  head,
  key,
  linesOf,
  log,
  opened,
  verdictOf,
} from '../../support/keyring/filled-audit.js'
import { fill, smallDisk } from '../../support/keyring/key-files.js'
import { rounds, runs, seed, spread } from '../../support/rounds.js'
import { seededRandom } from '../../support/seeded-random.js'
import { temporaryDirectorySync } from '../../support/temporary-directory.js'

t.setTimeout(300_000)

t.test('what was appended is there, in order, each line with the hash of the one before', async (t) => {
  const { folder, audit } = await filled(t, 3)
  await audit.append({ by: 'operator', what: 'keyring generate', key })
  t.strictSame(await audit.check(), { lines: 4 })
  const lines = await audit.last(10)
  t.match(lines, [
    { n: 1, what: 'act01 1', serial: 'SHC94700123', expiry: '20270101T000000Z' },
    { n: 2 },
    { n: 3 },
    {},
  ])
  t.match(lines[3], {
    n: 4,
    by: 'operator',
    what: 'keyring generate',
    serial: undefined,
    expiry: undefined,
    key,
  })
  t.strictSame(
    lines.map(({ prev }) => prev),
    ['0'.repeat(64), ...lines.slice(0, 3).map(({ hash }) => hash)],
  )
  t.match(await audit.last(2), [{ n: 3 }, { n: 4 }])
  t.equal(audit.newest(), lines[2]?.at, 'what was done to keys is no signature')
  for (const path of [log(folder), head(folder)]) t.equal(statSync(path).mode & 0o777, 0o600)
  await audit.close()
  await t.rejects(audit.append(entry('late')), { code: 'UNAVAILABLE' })
  const again = await opened(t, folder)
  t.equal(again.newest(), lines[2]?.at)
  t.strictSame(again.repairs, [])
  await again.append(entry('act01 4'))
  t.strictSame(await again.check(), { lines: 5 })
  t.equal(again.newest(), (await again.last(1))[0]?.at)
})

t.test('the newest signature is the latest ever, until the clock is vouched for', async (t) => {
  const folder = temporaryDirectorySync(t)
  let now = Date.parse('2027-03-01T08:00:00Z')
  const audit = await Audit.open(folder, { now: () => new Date(now) })
  t.equal(audit.newest(), undefined)
  await audit.append(entry('act01 1'))
  now -= 60_000
  await audit.append(entry('act01 2'))
  t.equal(audit.newest(), '2027-03-01T08:00:00.000Z')
  now += 3_600_000
  await audit.append({ by: 'operator', what: 'keyring mark retired', key })
  t.equal(audit.newest(), '2027-03-01T08:00:00.000Z')
  await audit.append({ by: 'operator', what: 'keyring clock --accept', key: '' })
  t.equal(audit.newest(), undefined)
  await audit.close()
  const noted = readFileSync(head(folder))
  t.equal((await opened(t, folder)).newest(), undefined)
  now -= 90 * 86_400_000
  const other = await Audit.open(folder, { now: () => new Date(now) })
  await other.append(entry('act01 3'))
  await other.close()
  for (const harm of [() => writeFileSync(head(folder), noted), () => rmSync(head(folder))]) {
    harm()
    t.equal((await opened(t, folder)).newest(), new Date(now).toISOString(), 'as the lines say, too')
  }
})

t.test('a thousand at once go to the disk together', async (t) => {
  const { audit } = await filled(t, 0)
  const began = performance.now()
  await Promise.all(Array.from({ length: 5000 }, (_, n) => audit.append(entry(`act01 ${n}`))))
  const lasted = performance.now() - began
  t.comment(`${Math.round(5000 / (lasted / 1000))} lines a second`)
  t.strictSame(await audit.check(), { lines: 5000 })
  t.match(
    (await audit.last(5000)).map(({ what }) => what),
    Array.from({ length: 5000 }, (_, n) => `act01 ${n}`),
  )
  t.ok(lasted < 5000, 'not one after the other')
})

t.test('a note that is behind, as after a power cut, is no fault; an older copy of it neither', async (t) => {
  const { folder, audit } = await filled(t, 2)
  await audit.close()
  copyFileSync(head(folder), `${head(folder)}.old`)
  const again = await opened(t, folder)
  for (let n = 3; n < 60; n += 1) await again.append(entry(`act01 ${n}`))
  await again.close()
  const newest = (await opened(t, folder)).newest()
  copyFileSync(`${head(folder)}.old`, head(folder))
  const behind = await opened(t, folder)
  t.equal(behind.newest(), newest)
  t.strictSame(await behind.check(), { lines: 59 })
  await behind.append(entry('act01 60'))
  t.strictSame(await behind.check(), { lines: 60 })
})

t.test('a note that says no time is none: the lines say when the newest signature was made', async (t) => {
  const { folder, audit } = await filled(t, 2)
  const newest = audit.newest() ?? ''
  await audit.close()
  const note = readFileSync(head(folder), 'utf8')
  writeFileSync(head(folder), note.replace(newest, 'x'.repeat(24)))
  const again = await opened(t, folder)
  t.equal(again.newest(), newest)
  t.match(again.repairs, [/note of where the audit log ends was lost/])
})

t.test('a last line that is torn is healed, and one that was told is not given up', async (t) => {
  const { folder, audit } = await filled(t, 3)
  await audit.close()
  const whole = readFileSync(log(folder))
  for (const torn of ['{', '{"n":4,"at":"2026-', `${linesOf(folder)[2]}`, 'x'.repeat(100_000)]) {
    writeFileSync(log(folder), whole)
    appendFileSync(log(folder), torn)
    const again = await opened(t, folder)
    if (torn !== linesOf(folder)[2]) t.match(again.repairs, [/half written/])
    await again.close()
  }
  writeFileSync(log(folder), `${whole}{"n":4`)
  const again = await opened(t, folder)
  t.match(again.repairs, [/half written, and was cut off/])
  t.ok(readFileSync(log(folder)).equals(whole))
  await again.append(entry('act01 4'))
  t.strictSame(await again.check(), { lines: 4 })
  await again.close()
  const longer = readFileSync(log(folder))
  writeFileSync(log(folder), longer.subarray(0, -1))
  const healed = await opened(t, folder)
  t.match(healed.repairs, [/has it again/])
  t.ok(readFileSync(log(folder)).equals(longer))
  t.strictSame(await healed.check(), { lines: 4 })
})

t.test('whatever lies in the files, a start comes up and appends', async (t) => {
  await fc.assert(
    fc.asyncProperty(
      fc.uint8Array({ maxLength: 300 }),
      fc.uint8Array({ maxLength: 300 }),
      async (one, other) => {
        const folder = temporaryDirectorySync(t)
        writeFileSync(log(folder), one)
        writeFileSync(head(folder), other)
        const audit = await opened(t, folder)
        await audit.append(entry('act01'))
        const [last] = await audit.last(1)
        const { broken } = await audit.check()
        await audit.close()
        // Nothing but a torn first line goes without a word.
        return last?.what === 'act01' && (broken !== undefined || !one.includes(0x0a))
      },
    ),
    runs(60),
  )
})

t.test('a line is bounded, whatever goes into it', async (t) => {
  const { audit } = await filled(t, 0)
  const hostile = '\u0000"\\\n\u2028é'.repeat(500)
  await audit.append({ by: hostile, what: hostile, key })
  t.strictSame(await audit.check(), { lines: 1 })
  const [line] = await audit.last(1)
  t.equal(line?.by, hostile.slice(0, 100))
  t.equal(line?.what, hostile.slice(0, 200))
})

t.test('kill -9 at any moment loses no line that was told', async (t) => {
  const folder = temporaryDirectorySync(t)
  const program = fileURLToPath(new URL('../../support/keyring/keyring-process.js', import.meta.url))
  const told: string[] = []
  let healed = 0
  const many = rounds(15, 8)
  const random = seededRandom(seed)
  for (let round = 0; round < many; round += 1) {
    const child = spawn(process.execPath, [program, 'audit', folder], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    let said = ''
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      said += text
    })
    await once(child.stdout, 'data')
    await setTimeout(spread(random, round, many, 53))
    child.kill('SIGKILL')
    if (child.exitCode === null && child.signalCode === null) await once(child, 'close')
    const lines = said.split('\n').slice(1, -1)
    told.push(...lines)
    const audit = await opened(t, folder)
    healed += audit.repairs.length
    const { broken, lines: count } = await audit.check()
    if (broken !== undefined) t.fail(`round ${round}: ${broken.says}`)
    const kept = (await audit.last(10_000)).map(({ what }) => what)
    t.ok(count >= told.length, `${count} are kept, ${told.length} were told`)
    const own = kept.slice(kept.lastIndexOf('act01 0.0'))
    t.strictSame(own.slice(0, lines.length), lines.length === 0 ? [] : lines, `round ${round}`)
    await audit.close()
  }
  t.comment(`${told.length} lines were told, ${healed} torn ones healed`)
  t.ok(told.length > many)
})

t.test('on a full disk nothing is told to be kept; when there is room, it goes on', async (t) => {
  const disk = smallDisk(t)
  if (disk === undefined) return
  const folder = join(disk, 'audit')
  const audit = await opened(t, folder)
  await audit.append(entry('act01 first'))
  const told = 1
  const empty = fill(disk)
  let count = told
  const refused = await (async () => {
    for (let tries = 0; tries < 50; tries += 1) {
      try {
        await audit.append(entry('act01 more'))
        count += 1
      } catch (error) {
        return error
      }
    }
    return undefined
  })()
  t.match(refused, { code: 'NO_SPACE', hint: /make room/ })
  const many = await Promise.allSettled(Array.from({ length: 50 }, () => audit.append(entry('act01 many'))))
  t.ok(many.every(({ status }) => status === 'rejected'))
  t.strictSame(await audit.check(), { lines: count }, 'what a failed write left is no fault')
  const newest = audit.newest()
  const second = await opened(t, folder)
  t.equal(second.newest(), newest, 'a start needs no room')
  await second.close()
  empty()
  await audit.append(entry('act01 again'))
  t.strictSame(await audit.check(), { lines: count + 1 })
  await audit.close()
  t.strictSame(await verdictOf(folder), { lines: count + 1 })
  t.ok(existsSync(head(folder)))
})
