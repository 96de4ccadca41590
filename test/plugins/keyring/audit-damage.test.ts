import { createHash } from 'node:crypto'
import { readFileSync, renameSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import t from 'tap'
import {
  entry,
  filled,
  head,
  linesOf,
  log,
  opened,
  verdictOf,
  write,
} from '../../support/keyring/filled-audit.js'
import { openDesk } from '../../support/keyring/open-keyring.js'
import { runs } from '../../support/rounds.js'

t.setTimeout(300_000)

/** A line as somebody would forge it who knows the format. */
function forged(line: string, change: (fields: Record<string, unknown>) => void): string {
  const { hash: _, ...fields } = JSON.parse(line) as Record<string, unknown>
  change(fields)
  const content = JSON.stringify(fields).slice(0, -1)
  return `${content},"hash":"${createHash('sha256').update(content).digest('hex')}"}`
}

t.test('each thing that can be done to a line is found, at the line and by its name', async (t) => {
  const { folder, audit } = await filled(t, 8)
  await audit.close()
  const whole = linesOf(folder)
  const at = (n: number) => whole[n - 1] ?? ''
  const without = (...gone: number[]) => whole.filter((_, index) => !gone.includes(index + 1))
  const cases: [string, string[], { line: number; what: string }][] = [
    ['a line in the middle is removed', without(4), { line: 4, what: 'removed' }],
    ['several are removed', without(3, 4, 5), { line: 3, what: 'removed' }],
    ['the first is removed', without(1), { line: 1, what: 'removed' }],
    ['the last is cut off', without(8), { line: 8, what: 'cut off' }],
    ['several are cut off', without(6, 7, 8), { line: 6, what: 'cut off' }],
    ['all are cut off', [], { line: 1, what: 'cut off' }],
    [
      'two are swapped',
      [...whole.slice(0, 3), at(5), at(4), ...whole.slice(5)],
      { line: 4, what: 'reordered' },
    ],
    ['one is moved to the front', [at(6), ...without(6)], { line: 1, what: 'reordered' }],
    ['one is moved to the end', [...without(2), at(2)], { line: 2, what: 'reordered' }],
    ['one is there twice', [...whole.slice(0, 4), at(4), ...whole.slice(4)], { line: 5, what: 'reordered' }],
    [
      'a serial is changed',
      whole.map((line, index) => (index === 2 ? line.replace('SHC', 'CSN') : line)),
      { line: 3, what: 'changed' },
    ],
    [
      'a line is rubbish',
      whole.map((line, index) => (index === 2 ? 'rubbish' : line)),
      { line: 3, what: 'changed' },
    ],
    ['a blank line comes in', [...whole.slice(0, 2), '', ...whole.slice(2)], { line: 3, what: 'changed' }],
    [
      'a line is endless',
      [...whole.slice(0, 2), 'x'.repeat(500_000), ...whole.slice(2)],
      { line: 3, what: 'changed' },
    ],
    ['something comes behind the end', [...whole, 'x'], { line: 9, what: 'changed' }],
  ]
  const odd = (more: object) =>
    whole.map((line, index) => (index === 2 ? forged(line, (fields) => Object.assign(fields, more)) : line))
  for (const more of [{ n: '3' }, { n: 3.5 }, { key: 5 }, { serial: null }, { at: undefined }])
    cases.push([
      `what is forged is no line: ${JSON.stringify(more)}`,
      odd(more),
      { line: 3, what: 'changed' },
    ])
  const forge = (n: number) => forged(at(n), (fields) => Object.assign(fields, { serial: 'CSN74805706' }))
  for (const n of [1, 4, 8])
    cases.push([
      `line ${n} is forged, hash and all`,
      whole.map((line, index) => (index + 1 === n ? forge(n) : line)),
      { line: n, what: 'changed' },
    ])
  const noted = readFileSync(head(folder))
  for (const [what, lines, broken] of cases) {
    write(folder, lines)
    writeFileSync(head(folder), noted)
    t.match(await verdictOf(folder), { broken }, what)
  }
  write(folder, whole)
  t.strictSame(await verdictOf(folder), { lines: 8 })
})

t.test('whatever is done to the lines is found, also after more was appended', async (t) => {
  const { folder, audit } = await filled(t, 6)
  await audit.close()
  const whole = linesOf(folder)
  const noted = readFileSync(head(folder))
  const order = fc.array(fc.nat(5), { maxLength: 8 }).filter((picked) => picked.join() !== '0,1,2,3,4,5')
  await fc.assert(
    fc.asyncProperty(order, fc.boolean(), async (picked, hasMore) => {
      write(
        folder,
        picked.map((index) => whole[index] ?? ''),
      )
      writeFileSync(head(folder), noted)
      const again = await opened(t, folder)
      if (hasMore) await again.append(entry('act01 more'))
      const { broken } = await again.check()
      await again.close()
      const later = await verdictOf(folder)
      return broken !== undefined && later.broken?.line === broken.line
    }),
    runs(150),
  )
})

t.test('any one byte that is changed is found, at its line', async (t) => {
  const { folder, audit } = await filled(t, 4)
  await audit.close()
  const whole = readFileSync(log(folder))
  const noted = readFileSync(head(folder))
  await fc.assert(
    fc.asyncProperty(fc.nat(whole.length - 2), fc.integer({ min: 1, max: 255 }), async (at, by) => {
      const bytes = Buffer.from(whole)
      bytes[at] = (bytes[at] ?? 0) ^ by
      writeFileSync(log(folder), bytes)
      writeFileSync(head(folder), noted)
      const line = whole.subarray(0, at).filter((byte) => byte === 0x0a).length + 1
      return (await verdictOf(folder)).broken?.line === line
    }),
    runs(150),
  )
})

t.test('an end that was cut off stays missing, whatever is appended behind it', async (t) => {
  const { folder, audit } = await filled(t, 5)
  await audit.close()
  write(folder, linesOf(folder).slice(0, 3))
  const again = await opened(t, folder)
  t.match(await again.check(), {
    broken: { line: 4, what: 'cut off', says: 'numbers 4 to 5 were cut off at the end' },
  })
  await again.append(entry('act01 6'))
  t.match(await again.last(1), [{ n: 6 }])
  t.match(await again.check(), { broken: { line: 4, what: 'removed', says: /numbers 4 to 5/ } })
  await again.close()
  t.match(await verdictOf(folder), { broken: { line: 4, what: 'removed' } })
  rmSync(log(folder))
  t.match(
    await verdictOf(folder),
    { broken: { line: 1, what: 'cut off', says: /numbers 1 to 6/ } },
    'the whole of it',
  )
})

t.test('cut off under a running server, or moved away, it is found, and nothing later is lost', async (t) => {
  const { folder, audit } = await filled(t, 4)
  truncateSync(log(folder), (linesOf(folder)[0]?.length ?? 0) + 1)
  t.match(await audit.check(), { broken: { line: 2, what: 'cut off' } })
  await audit.append(entry('act01 5'))
  t.match(await audit.check(), { broken: { line: 2, what: 'removed' } })
  renameSync(log(folder), `${log(folder)}.1`)
  t.match(await audit.check(), { broken: { line: 1, what: 'cut off' } })
  t.strictSame(await audit.last(5), [])
  await audit.append(entry('act01 6'))
  t.match(await audit.last(5), [{ n: 6 }])
  t.match(await audit.check(), {
    broken: { line: 1, what: 'removed', says: 'numbers 1 to 5 were removed: line 1 is number 6' },
  })
  await audit.close()
  t.match(await verdictOf(folder), { broken: { line: 1, what: 'removed' } })
})

t.test('a note of the end that is lost is said in the log itself', async (t) => {
  for (const harm of [
    (path: string) => rmSync(path),
    (path: string) => writeFileSync(path, 'rubbish'),
    (path: string) => truncateSync(path, 20),
  ]) {
    const { folder, audit } = await filled(t, 3)
    const newest = audit.newest()
    await audit.close()
    harm(head(folder))
    const again = await opened(t, folder)
    t.match(again.repairs, [/note of where the audit log ends was lost/])
    t.equal(again.newest(), newest)
    t.match(await again.check(), { broken: { line: 4, what: 'cut off' } })
    await again.append(entry('act01 4'))
    t.match(await again.last(2), [{ n: 4, by: 'keyring', what: 'keyring head-lost' }, { n: 5 }])
    t.match(await again.check(), { broken: { line: 4, what: 'cut off' } })
    await again.close()
    t.match(await verdictOf(folder), { broken: { line: 4, what: 'cut off' } })
  }
})

t.test('a log that is gone altogether is missed where keys say that it was there', async (t) => {
  const { service, root, close } = await openDesk(t, { keys: [['lease', 'lease']] })
  await service.audit.append(entry('act01 1'))
  await close()
  const folder = join(root, 'keyring', 'audit')
  for (const path of [log(folder), head(folder)]) rmSync(path)
  const desk = await openDesk(t, { root })
  t.match(
    desk.log.map(({ msg }) => msg),
    [/the audit log is gone, and the note of where it ended with it/],
  )
  await desk.ready()
  t.match(await desk.health('audit log'), /not as it was written/)
  t.match(await desk.service.audit.check(), { broken: { line: 1, what: 'cut off' } })
  await desk.service.audit.append(entry('act01 2'))
  t.match(await desk.service.audit.last(5), [
    { n: 1, what: 'keyring head-lost' },
    { n: 2, what: 'act01 2' },
  ])
  await desk.close()
  const later = await openDesk(t, { root })
  t.match(await later.service.audit.check(), { broken: { line: 1, what: 'cut off' } }, 'for all time')
  const fresh = await openDesk(t)
  t.strictSame(fresh.log, [])
  t.strictSame(await fresh.service.audit.check(), { lines: 0 }, 'a new server misses none')
})
