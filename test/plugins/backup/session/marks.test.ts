import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { Marks } from '../../../../plugins/backup/session/marks.js'
import { Processes } from '../../../../plugins/backup/session/processes.js'

function folder(t: Test): string {
  const path = mkdtempSync(join(tmpdir(), 'sugar-session-'))
  t.teardown(() => rmSync(path, { recursive: true, force: true }))
  return path
}

t.test('a mark outlives the server, and not the machine', async (t) => {
  const root = folder(t)
  const marks = new Marks(root)
  t.equal(marks.get('a'), undefined)
  for (const mark of ['aside', 'dirty', 'whole'] as const) {
    marks.set('a', mark)
    t.equal(new Marks(root).get('a'), mark)
  }
  t.same(marks.all(), ['a'])
  for (const text of ['', 'aside another-boot', 'dirty another-boot', 'x', 'wholex another-boot', 'old']) {
    writeFileSync(join(root, 'marks', 'a'), text)
    t.equal(marks.get('a'), 'dirty', `${text}: what had reached the disk is not known`)
    t.notOk(marks.isDue('a'))
  }
  for (const text of ['whole another-boot', 'whole', 'whole  ']) {
    writeFileSync(join(root, 'marks', 'a'), text)
    t.equal(marks.get('a'), 'old', `${text}: a snapshot is due all the same`)
    t.ok(marks.isDue('a'))
    marks.taken('a')
    t.equal(marks.get('a'), 'dirty', 'and what it was taken of is not believed')
  }
  marks.set('a', 'whole')
  t.ok(marks.isDue('a'))
  marks.taken('a')
  t.equal(marks.get('a'), undefined)
  marks.set('a', 'dirty')
  writeFileSync(join(root, 'marks', 'b.new'), '')
  t.same(marks.all(), ['a'], 'what was not whole does not count')
  marks.clear('a')
  marks.clear('a')
  t.equal(marks.get('a'), undefined)
})

t.test('programs that were left behind are ended with those they started, and nobody else is', async (t) => {
  const root = folder(t)
  const noted = new Processes(root)
  const stubborn =
    "process.on('SIGTERM', () => {}); require('child_process').spawn('sleep', ['100'], { stdio: ['ignore', 1, 'ignore'] }); console.log('up'); setInterval(() => {}, 1000)"
  const child = spawn(process.execPath, ['-e', stubborn], {
    detached: true,
    stdio: ['ignore', 'pipe', 'ignore'],
  })
  t.teardown(() => child.kill('SIGKILL'))
  await once(child.stdout, 'data')
  noted.note(child.pid ?? 0)
  const other = spawn('sleep', ['100'])
  t.teardown(() => other.kill('SIGKILL'))
  // The number was another program's once.
  writeFileSync(join(root, 'processes', `${other.pid}-1`), '')
  for (const odd of ['1-0', '0-0', '-5-3', 'x', '999999999-7'])
    writeFileSync(join(root, 'processes', odd), '')
  const strike = noted.note(process.pid)
  strike()
  strike()
  // Its output closes when nobody of its group is left.
  const closed = once(child, 'close')
  t.equal(await new Processes(root).endAll(), 1)
  await closed
  t.equal(child.signalCode, 'SIGKILL')
  t.equal(other.exitCode ?? other.signalCode, null)
  t.same(readdirSync(join(root, 'processes')), [])
  t.equal(await noted.endAll(), 0)
})
