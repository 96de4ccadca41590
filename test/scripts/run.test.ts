// The runner of the tests must not lie: whatever is not a whole, clean and successful run is counted as a failure.
import { spawn } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'

const home = fileURLToPath(new URL('../../..', import.meta.url))
t.setTimeout(300_000)

const runner = join(home, 'scripts', 'tests', 'run.mjs')

/** Runs test files with these sources, a deadline of some seconds for each. */
async function run(t: Test, sources: Record<string, string>, seconds = 60) {
  const folder = t.testdir(
    Object.fromEntries(Object.entries(sources).map(([name, source]) => [`${name}.test.js`, source])),
  )
  const { TAP_CHILD_ID: _, ...env } = process.env
  const child = spawn(
    process.execPath,
    [runner, ...Object.keys(sources).map((name) => join(folder, `${name}.test.js`))],
    { env: { ...env, TEST_DEADLINE: String(seconds) }, stdio: ['ignore', 'pipe', 'inherit'] },
  )
  let out = ''
  child.stdout.setEncoding('utf8').on('data', (text) => {
    out += text
  })
  const code = await new Promise((resolve) => child.once('close', resolve))
  const lines = out.trimEnd().split('\n')
  return { out, closing: lines.at(-1) ?? '', code, folder }
}

const print = (...lines: string[]) => `process.stdout.write(${JSON.stringify(`${lines.join('\n')}\n`)})\n`

t.test('what is good is counted, and skips are named with their reason', async (t) => {
  const { out, closing, code } = await run(t, {
    good: `import t from 'tap'
      t.test('outer', async (t) => {
        t.ok(true)
        await t.test('inner', async (t) => { t.ok(true); t.pass('a pear', { skip: 'there is no tree' }) })
      })`,
    other: print('TAP version 14', 'ok 1', 'not ok 2 - later # TODO not built', '1..2'),
    skipped: print('TAP version 14', '1..0 # SKIP not on this machine'),
  })
  t.equal(closing, '3 passed, 0 failed, 2 skipped', out)
  t.equal(code, 0)
  t.match(out, /^ok +\d+\.\d s {2}.*good {2}2 passed, 1 skipped$/m)
  t.match(out, 'skipped: outer > inner > a pear (there is no tree)')
  t.match(out, 'skipped: the whole file (not on this machine)')
})

t.test('what fails is counted and told', async (t) => {
  const { out, closing, code } = await run(t, {
    failing: `import t from 'tap'
      t.test('the outer test', async (t) => {
        t.ok(true, 'unimportant')
        await t.test('the inner test', async (t) => t.equal('the one', 'the other', 'both are one'))
      })
      t.test('another', async (t) => t.ok(true, 'unimportant too'))
      console.error('and this stood on standard error \\u001b[2J')`,
  })
  t.equal(closing, '2 passed, 1 failed', out)
  t.equal(code, 1)
  t.match(out, /^FAIL +\d+\.\d s {2}.*failing {2}2 passed, 1 failed$/m)
  for (const told of [
    'the outer test',
    'the inner test',
    'not ok 1 - both are one',
    'the other',
    'lineNumber',
  ])
    t.match(out, told)
  t.match(out, 'and this stood on standard error \\x1b[2J', 'nothing moves the cursor')
  t.notMatch(out, /ok \d+ - unimportant/)
})

/** What ends badly, each with the number of its passed assertions, and what is said of it. */
const bad: Record<string, [source: string, passed: number, told: RegExp]> = {
  'a crash at the first line': [
    "throw new Error('no way')",
    0,
    /Error: no way[\s\S]*no test ran|exit code 1/,
  ],
  'a crash after good tests': [
    `${print('TAP version 14', 'ok 1', '1..1')}setTimeout(() => { throw new Error('too late') }, 50)`,
    1,
    /exit code 1[\s\S]*too late/,
  ],
  'an exit code alone': [`${print('TAP version 14', 'ok 1', '1..1')}process.exitCode = 7`, 1, /exit code 7/],
  'a signal': [
    `${print('TAP version 14', 'ok 1', '1..1')}process.kill(process.pid, 'SIGKILL')`,
    1,
    /was ended by SIGKILL/,
  ],
  'nothing at all': ['', 0, /no test ran/],
  'no test': [print('TAP version 14', '1..0'), 0, /no test ran/],
  'a tap without a test': ["import 'tap'", 0, /no test ran/],
  'only words': [print('all is well', '12 passed, 0 failed'), 0, /TAP|no test ran/],
  'words between': [print('TAP version 14', 'ok 1', 'all is well', '1..1'), 1, /TAP/],
  'no plan': [print('TAP version 14', 'ok 1', 'ok 2'), 2, /no plan/],
  'exit in the middle': [
    `import t from 'tap'
     t.test('first', async (t) => t.ok(true))
     t.test('second', async (t) => { t.ok(true); process.exit(0) })`,
    2,
    /FAIL/,
  ],
  'a plan that is not kept': [print('TAP version 14', '1..3', 'ok 1', 'ok 2'), 2, /plan|number of tests/],
  'more than planned': [print('TAP version 14', '1..1', 'ok 1', 'ok 2'), 2, /TAP/],
  'a subtest without its end': [
    print(
      'TAP version 14',
      '# Subtest: first',
      '    ok 1',
      '    1..1',
      'ok 1 - first',
      '# Subtest: second',
      '    ok 1',
    ),
    2,
    /plan|TAP/,
  ],
  'a failed subtest that is called good': [
    print('TAP version 14', '# Subtest: first', '    not ok 1', '    1..1', 'ok 1 - first', '1..1'),
    1,
    /FAIL/,
  ],
  'a bail-out': [print('TAP version 14', 'ok 1', 'Bail out! the disk is gone'), 1, /the disk is gone/],
  'a rejection that is not handled': [
    "import t from 'tap'\nt.test('first', async (t) => { t.ok(true); void Promise.reject(new Error('unheard')) })",
    1,
    /unheard/,
  ],
  'a test that never ends': ["import t from 'tap'\nt.test('waits', () => new Promise(() => {}))", 0, /FAIL/],
  'a syntax error': ['const const', 0, /SyntaxError/],
}

t.test('whatever ends badly is a failure, and what comes after it runs', async (t) => {
  const fileOf = (name: string) => name.replaceAll(/\W+/g, '-')
  const sources = Object.entries(bad).map(([name, [source]]): [string, string] => [fileOf(name), source])
  const good = print('TAP version 14', 'ok 1', '1..1')
  const { out, closing, code } = await run(t, { ...Object.fromEntries(sources), good })
  t.not(code, 0)
  t.match(closing, /^\d+ passed, \d+ failed$/)
  t.match(out, /^ok .*\/good {2}1 passed$/m)
  const stories = out.split(/^(?=ok {4}|FAIL )/m)
  t.equal(out.match(/^FAIL /gm)?.length, sources.length)
  for (const [name, [, passed, told]] of Object.entries(bad)) {
    const story = stories.find((text) => text.split('\n', 1)[0]?.includes(`/${fileOf(name)}  `)) ?? ''
    t.match(story, new RegExp(`^FAIL .*  ${passed} passed, [1-9]\\d* failed\n`), name)
    t.match(story, told, name)
  }
})

t.test('a file that hangs is ended with everything it started', async (t) => {
  const { out, closing, code, folder } = await run(
    t,
    {
      hanging: `import { spawn } from 'node:child_process'
        import { writeFileSync } from 'node:fs'
        const inner = "setInterval(() => {}, 1000)"
        const outer = "const { spawn } = require('node:child_process'); const c = spawn(process.execPath, ['-e', " +
          JSON.stringify(inner) + "], { detached: true, stdio: 'inherit' }); c.unref(); console.error(c.pid); setInterval(() => {}, 1000)"
        const child = spawn(process.execPath, ['-e', outer], { detached: true, stdio: ['ignore', 'inherit', 'pipe'] })
        child.stderr.once('data', (data) => {
          writeFileSync(import.meta.dirname + '/pids', process.pid + ' ' + child.pid + ' ' + data)
          process.stdout.write('TAP version 14\\nok 1\\n')
        })
        process.on('SIGTERM', () => {})
        setInterval(() => {}, 1000)`,
    },
    3,
  )
  t.equal(closing, '1 passed, 1 failed', out)
  t.equal(code, 1)
  t.match(out, 'had not ended after 3 s, and was ended')
  const pids = readFileSync(join(folder, 'pids'), 'utf8').trim().split(' ').map(Number)
  t.equal(pids.length, 3)
  for (const pid of pids) t.notOk(isRunning(pid), `${pid} is gone`)
})

t.test('what a file leaves running is named and ended, and does not hold up the run', async (t) => {
  const { out, closing, code, folder } = await run(t, {
    leaving: `import { spawn } from 'node:child_process'
      import { writeFileSync } from 'node:fs'
      const child = spawn('sleep', ['1000'], { detached: true, stdio: ['ignore', 'inherit', 'inherit'] })
      writeFileSync(import.meta.dirname + '/pid', String(child.pid))
      child.unref()
      ${print('TAP version 14', 'ok 1', '1..1')}`,
  })
  t.equal(closing, '1 passed, 0 failed', out)
  t.equal(code, 0)
  t.match(out, 'left running, and ended: sleep')
  t.notOk(isRunning(Number(readFileSync(join(folder, 'pid'), 'utf8'))))
})

t.test('a file that prints without end is ended', async (t) => {
  const { out, closing } = await run(t, {
    chatty: `${print('TAP version 14')}
      const line = '# ' + 'x'.repeat(65000) + '\\n'
      const more = () => process.stdout.write(line, more)
      more()`,
    loud: `for (let n = 0; n < 20; n += 1) process.stderr.write(('y'.repeat(99) + '\\n').repeat(1e4))
      process.stderr.write('the last words')
      process.exitCode = 3`,
  })
  t.equal(closing, '0 passed, 2 failed', out.slice(-2000))
  t.match(out, 'printed more than 16 MB, and was ended')
  t.match(out, 'the last words')
  t.match(out, 'bytes left out')
  t.ok(out.length < 4e6, `${out.length} characters`)
})

t.test('a run of nothing has shown nothing', async (t) => {
  const { closing, code } = await run(t, {})
  t.equal(closing, '0 passed, 1 failed')
  t.equal(code, 1)
})

t.test('a run that is interrupted ends its files, and is no success', async (t) => {
  const folder = t.testdir({
    'waiting.test.js': `import { renameSync, writeFileSync } from 'node:fs'
      ${print('TAP version 14', 'ok 1', '1..1')}
      writeFileSync(import.meta.dirname + '/pid.new', String(process.pid))
      renameSync(import.meta.dirname + '/pid.new', import.meta.dirname + '/pid')
      setInterval(() => {}, 1000)`,
  })
  const child = spawn(process.execPath, [runner, join(folder, 'waiting.test.js')], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  let out = ''
  child.stdout.setEncoding('utf8').on('data', (text) => {
    out += text
  })
  while (!existsSync(join(folder, 'pid'))) await new Promise((resolve) => setTimeout(resolve, 20))
  child.kill('SIGTERM')
  const code = await new Promise((resolve) => child.once('close', resolve))
  t.not(code, 0)
  t.match(out, '1 passed, 1 failed')
  t.match(out, 'was interrupted')
  t.notOk(isRunning(Number(readFileSync(join(folder, 'pid'), 'utf8'))))
})

function isRunning(pid: number): boolean {
  try {
    return !/^\d+ \(.*\) Z/s.test(readFileSync(`/proc/${pid}/stat`, 'latin1'))
  } catch {
    return false
  }
}
