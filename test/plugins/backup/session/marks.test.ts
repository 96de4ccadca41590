import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { bootId } from '../../../../core/api.js'
import { Marks } from '../../../../plugins/backup/session/marks.js'
import { Processes } from '../../../../plugins/backup/session/processes.js'

function folder(t: Test): string {
  const path = mkdtempSync(join(tmpdir(), 'sugar-session-'))
  t.teardown(() => rmSync(path, { recursive: true, force: true }))
  return path
}

const textOf = (root: string, uid: string) => readFileSync(join(root, 'marks', uid), 'latin1')
const now = () => Math.floor(Date.now() / 1000)

t.test('a mark outlives the server, and not the machine', async (t) => {
  const root = folder(t)
  const marks = new Marks(root)
  t.equal(marks.get('a'), undefined)
  for (const mark of ['aside', 'dirty'] as const) {
    await marks.begin('a', mark)
    t.equal(new Marks(root).get('a'), mark)
    t.notOk(new Marks(root).isDoubtful('a'))
  }
  await marks.flushed('a', 'whole')
  t.equal(new Marks(root).get('a'), 'whole')
  t.same(marks.all(), ['a'])
  for (const text of [
    '',
    '\0'.repeat(96),
    'aside another-boot',
    'dirty another-boot',
    'logs another',
    'x',
    'wholex -',
  ]) {
    writeFileSync(join(root, 'marks', 'a'), text)
    t.equal(marks.get('a'), 'dirty', `${text}: what had reached the disk is not known`)
    t.notOk(marks.isDue('a'))
    t.same([marks.isDoubtful('a'), marks.unflushedSince('a')], [true, 0], 'nothing of it')
  }
  for (const text of [
    'whole another-boot',
    'whole',
    'whole  ',
    'whole another-boot -',
    'old another-boot -',
  ]) {
    writeFileSync(join(root, 'marks', 'a'), text)
    t.equal(marks.get('a'), 'old', `${text}: a snapshot is due all the same`)
    t.ok(marks.isDue('a'))
    t.ok(marks.isDoubtful('a'))
    await marks.taken('a')
    t.equal(marks.get('a'), 'dirty', 'and what it was taken of is not believed')
    t.notOk(marks.isDoubtful('a'))
  }
  await marks.flushed('a', 'whole')
  t.ok(marks.isDue('a'))
  await marks.taken('a')
  t.equal(marks.get('a'), undefined)
  await marks.begin('a', 'dirty')
  writeFileSync(join(root, 'marks', 'b.new'), '')
  t.same(marks.all(), ['a'], 'what was not whole does not count')
  marks.clear('a')
  marks.clear('a')
  t.equal(marks.get('a'), undefined)
})

t.test('what is written is noted with the time, until it was flushed', async (t) => {
  const root = folder(t)
  const marks = new Marks(root, { boot: 'this-boot' })
  const before = now()
  await marks.begin('a', 'logs')
  t.equal(marks.get('a'), undefined, 'the Journal is as it was')
  const since = marks.unflushedSince('a') ?? 0
  t.ok(since >= before - 2 && since < now(), 'no file that comes from now on is older')
  await marks.begin('a', 'dirty')
  t.same([marks.get('a'), marks.unflushedSince('a')], ['dirty', since], 'the earliest time counts')
  await marks.begin('a', 'logs')
  t.equal(marks.get('a'), 'dirty', 'and what says most')
  t.match(textOf(root, 'a'), new RegExp(`^dirty this-boot ${since} +\\n$`))
  t.equal(textOf(root, 'a').length, 96)
  const next = new Marks(root, { boot: 'next-boot' })
  t.same([next.isDoubtful('a'), next.get('a'), next.unflushedSince('a')], [true, 'dirty', since])
  t.same([marks.unflushed(), next.unflushed()], [['a'], []])
  await marks.flushed('a', 'dirty')
  t.same([next.isDoubtful('a'), next.unflushedSince('a')], [true, undefined], 'all of it is on the disk')
  t.same(marks.unflushed(), [])
  await next.flushed('a', 'aside')
  t.same([marks.get('a'), marks.isDoubtful('a')], ['aside', true], 'documents that were flushed are believed')
  await marks.begin('b', 'dirty')
  await marks.begin('c', 'aside')
  await marks.flushed('c', 'aside')
  await marks.doubtAll()
  t.same([marks.isDoubtful('b'), marks.isDoubtful('c')], [true, false], 'a flush failed')
  t.equal(marks.get('b'), 'dirty')
  await marks.begin('b', 'dirty')
  t.ok(marks.isDoubtful('b'), 'to go on does not mend it')
})

t.test('without a name of its start, each start of the server counts as one of the machine', async (t) => {
  const program = `
    import { bootId } from ${JSON.stringify(new URL('../../../../core/lib/boot-id.js', import.meta.url).href)}
    console.log(bootId())`
  const told = () =>
    spawnSync(
      'unshare',
      [
        '-m',
        'sh',
        '-c',
        'mount -t tmpfs none /proc/sys && exec "$0" "$@"',
        process.execPath,
        '--input-type=module',
        '-e',
        program,
      ],
      { encoding: 'utf8' },
    ).stdout.trim()
  if (process.geteuid?.() === 0) {
    const [one, other] = [told(), told()]
    t.match(one, /^[0-9a-f-]{36}$/)
    t.not(one, other)
  }
  t.equal(bootId(), readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim())
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
