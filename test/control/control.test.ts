import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { request } from 'node:http'
import { connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import fc from 'fast-check'
import t, { type Test } from 'tap'
import { type Call, definePlugin, integer, paths, RequestError, SystemError } from '../../core/api.js'
import type { InputFile } from '../../core/command.js'
import { ControlClient } from '../../core/control/client.js'
import {
  type CommandRequest,
  FrameReader,
  fileFrames,
  frame,
  largestFile,
} from '../../core/control/frames.js'
import { openControl, socketPath } from '../../core/control/server.js'
import { boot } from '../../core/testing.js'
import { runs } from '../support/rounds.js'

t.setTimeout(300_000)

async function folderFor(t: Pick<Test, 'teardown'>): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'sugar-control-'))
  t.teardown(() => rm(folder, { recursive: true, force: true }))
  return folder
}

const socketOf = (root: string): string => socketPath(join(root, 'run'))

/** Starts the house of child.ts and waits until it is there. */
async function startChild(t: Test, root: string): Promise<ChildProcess> {
  const path = fileURLToPath(new URL('../support/core/kernel-process.js', import.meta.url))
  const child = spawn(process.execPath, [path, root], { stdio: ['ignore', 'pipe', 'inherit'] })
  t.teardown(() => child.kill('SIGKILL'))
  await heard(child, 'ready')
  return child
}

async function heard(child: ChildProcess, word: string): Promise<void> {
  let said = ''
  while (child.stdout !== null && !said.includes(word)) said += String((await once(child.stdout, 'data'))[0])
}

async function kill(child: ChildProcess): Promise<void> {
  const gone = once(child, 'exit')
  child.kill('SIGKILL')
  await gone
}

/** What a command printed, as the bytes that reach a terminal. */
function paper() {
  const out: Buffer[] = []
  const err: Buffer[] = []
  return {
    out: (text: string) => void out.push(Buffer.from(text)),
    err: (text: string) => void err.push(Buffer.from(text)),
    get text() {
      return { out: Buffer.concat(out).toString(), err: Buffer.concat(err).toString() }
    },
  }
}

async function* noFiles(): AsyncGenerator<InputFile> {}

async function* filesOf(files: readonly InputFile[]): AsyncGenerator<InputFile> {
  yield* files
}

const wanted = (plugin: string, command: string, more: Partial<CommandRequest> = {}): CommandRequest => ({
  plugin,
  command,
  args: {},
  options: {},
  cwd: '/',
  json: false,
  ...more,
})

interface Giving {
  command(name: string, run: () => undefined): void
}

const plain = definePlugin({ name: 'plain', api: 1, summary: 'Does nothing.', start: () => undefined })

t.test('one house on a root', async (t) => {
  await t.test('a second one is refused, and the first does not notice', async (t) => {
    const root = await folderFor(t)
    const first = await boot({ plugins: [plain], root })
    t.teardown(() => first.dispose())
    for (let tries = 0; tries < 2; tries += 1) {
      await t.rejects(boot({ plugins: [plain], root }), {
        code: 'ALREADY_RUNNING',
        message: new RegExp(root),
        hint: /sugar-server stop/,
      })
    }
    t.ok(existsSync(socketOf(root)))
    t.match(await new ControlClient(root).get('/status'), { phase: 'ready', plugins: [{ name: 'plain' }] })
    const elsewhere = await boot({ plugins: [plain] })
    await elsewhere.dispose()
    await first.dispose()
    t.notOk(existsSync(socketOf(root)), 'the socket goes with its house')
    const next = await boot({ plugins: [plain], root })
    await next.dispose()
  })

  await t.test('after kill -9 the next one starts at once, over the socket that was left', async (t) => {
    const root = await folderFor(t)
    for (let round = 0; round < 3; round += 1) {
      const child = await startChild(t, root)
      await t.rejects(boot({ plugins: [plain], root }), { code: 'ALREADY_RUNNING' })
      await kill(child)
      t.ok(existsSync(socketOf(root)), 'it could not tidy up')
      await t.rejects(new ControlClient(root).get('/status'), { code: 'NOT_RUNNING', hint: /start it/ })
      const next = await boot({ plugins: [plain], root })
      t.match(await new ControlClient(root).get('/status'), { phase: 'ready' })
      await next.dispose()
    }
  })

  await t.test('whatever lies where the socket should be is replaced', async (t) => {
    const root = await folderFor(t)
    mkdirSync(join(root, 'run'), { mode: 0o700 })
    writeFileSync(socketOf(root), 'no socket')
    const house = await boot({ plugins: [plain], root })
    t.match(await new ControlClient(root).get('/status'), { phase: 'ready' })
    await house.dispose()
  })

  await t.test('the socket and its directory are for the owner alone, whatever the umask', async (t) => {
    const root = join(await folderFor(t), 'root')
    const before = process.umask(0)
    try {
      const house = await boot({ plugins: [plain], root })
      t.equal(statSync(socketOf(root)).mode & 0o777, 0o600)
      for (const folder of [root, join(root, 'run')]) t.equal(statSync(folder).mode & 0o777, 0o700)
      t.equal(statSync(join(root, 'run', 'lock')).mode & 0o777, 0o600)
      await house.dispose()
    } finally {
      process.umask(before)
    }
  })

  await t.test('a root that is too long for a socket is refused in words, and let go', async (t) => {
    const root = join(await folderFor(t), 'ü'.repeat(60))
    for (let tries = 0; tries < 2; tries += 1) {
      await t.rejects(boot({ plugins: [plain], root }), {
        code: 'NOT_WRITABLE',
        message: /too long for a socket/,
        hint: 'choose a root with a shorter path',
      })
    }
  })

  await t.test('nobody there: the client says how to start it', async (t) => {
    const root = await folderFor(t)
    await t.rejects(new ControlClient(root).get('/status'), {
      code: 'NOT_RUNNING',
      message: new RegExp(root),
    })
    await t.rejects(new ControlClient(join(root, 'nowhere')).stop(), { code: 'NOT_RUNNING' })
  })
})

t.test('frames', async (t) => {
  const bytes = fc.uint8Array({ maxLength: 300 }).map((array) => Buffer.from(array))
  const files = fc.array(fc.record({ path: fc.string({ unit: 'binary', maxLength: 30 }), bytes }), {
    maxLength: 5,
  })

  /** A stream that brings the same bytes in other pieces. */
  async function* cut(whole: Buffer, at: readonly number[]): AsyncGenerator<Buffer> {
    const places = [
      0,
      ...at.map((place) => place % (whole.length + 1)).toSorted((a, b) => a - b),
      whole.length,
    ]
    for (const [index, from] of places.entries())
      yield whole.subarray(from, places[index + 1] ?? whole.length)
  }

  async function written(inputs: readonly InputFile[], before: unknown): Promise<Buffer> {
    const parts = [Buffer.from(frame(before))]
    for await (const part of fileFrames(filesOf(inputs))) parts.push(Buffer.from(part))
    return Buffer.concat(parts)
  }

  await t.test('are read as they were written, however the bytes are cut', async () => {
    const cuts = fc.array(fc.nat({ max: 2000 }), { maxLength: 40 })
    await fc.assert(
      fc.asyncProperty(files, fc.jsonValue(), cuts, async (inputs, before, at) => {
        const reader = new FrameReader(cut(await written(inputs, before), at))
        const line = await reader.line()
        const read: InputFile[] = []
        for await (const one of reader.files()) read.push(one)
        const same =
          JSON.stringify(line) === JSON.stringify(before) &&
          read.length === inputs.length &&
          read.every(({ path, bytes }, index) => {
            const input = inputs[index]
            return (
              input !== undefined &&
              path === JSON.parse(JSON.stringify(input.path)) &&
              bytes.equals(input.bytes)
            )
          })
        return same && (await reader.line()) === undefined
      }),
      runs(300),
    )
  })

  await t.test('that end anywhere but at their end are an error, never a shorter file', async () => {
    await fc.assert(
      fc.asyncProperty(files, fc.double({ min: 0, max: 1, noNaN: true }), async (inputs, part) => {
        const whole = await written(inputs, 0)
        const reader = new FrameReader(cut(whole.subarray(0, Math.floor(part * whole.length)), []))
        const read: InputFile[] = []
        try {
          await reader.line()
          for await (const one of reader.files()) read.push(one)
        } catch {
          // As it should be.
        }
        return read.every(({ bytes }, index) => inputs[index]?.bytes.equals(bytes))
      }),
    )
  })

  await t.test('that lie are refused before they cost anything', async (t) => {
    const read = async (text: string) => {
      for await (const _ of new FrameReader(cut(Buffer.from(text), [])).files());
    }
    const large = frame({ path: 'big', size: largestFile + 1 })
    await t.rejects(read(large), { code: 'REQUEST_TOO_LARGE', message: 'big is larger than 64 MiB' })
    await t.rejects(read('{"path":"x","size":1e999}\n'), { code: 'REQUEST_TOO_LARGE' })
    for (const size of ['-1', '1.5', 'null', '"1"', '[1]', '0.1']) {
      await t.rejects(
        read(`{"path":"x","size":${size}}\nabcdef`),
        { code: 'REQUEST_INVALID' },
        `size ${size}`,
      )
    }
    for (const line of [
      '{}',
      'null',
      '[]',
      '7',
      '"x"',
      '{"size":1}',
      '{"path":7,"size":1}',
      'garbage',
      '{',
    ]) {
      await t.rejects(read(`${line}\nabc`), { code: 'REQUEST_INVALID' }, line)
    }
    await t.rejects(read('{"path":"x","size":9}\nabc'), { code: 'REQUEST_INVALID', message: /too early/ })
    await t.rejects(read('x'.repeat(70_000)), { code: 'REQUEST_TOO_LARGE' }, 'a line without end')
  })
})

t.test('commands over the socket', async (t) => {
  const long = `${'a'.repeat(8191)}🦉${'ü'.repeat(100_000)}`
  let aborted: Promise<unknown> = Promise.resolve()
  let began: () => void = () => undefined
  const begun = new Promise<void>((resolve) => {
    began = resolve
  })
  const able = definePlugin({
    name: 'able',
    api: 1,
    summary: 'Has commands of all kinds.',
    commands: {
      greet: {
        summary: 'Greets.',
        args: { who: { help: 'Who.' } },
        options: { times: integer({ help: 'How often.', default: 1, min: 1, max: 9 }) },
      },
      files: { summary: 'Says what it was given.', args: { input: { help: 'Files.', input: true } } },
      deaf: { summary: 'Does not read what it is given.', args: { input: { help: 'Files.', input: true } } },
      rows: { summary: 'Lists.', lists: true },
      long: { summary: 'Says much.' },
      code: { summary: 'Ends with a code.' },
      refuse: { summary: 'Fails with a hint.' },
      break: { summary: 'Fails by mistake.' },
      wait: { summary: 'Waits.' },
    },
    start: (ctx) => {
      ctx.command('greet', (call) => {
        for (let n = 0; n < call.options.times; n += 1) call.print(`hello ${call.args.who}`)
        call.note('that is all')
      })
      ctx.command('files', async (call) => {
        for await (const { path, bytes } of call.files())
          call.print(`${path} ${bytes.length} ${bytes.at(-1) ?? '-'}`)
      })
      ctx.command('deaf', () => 3)
      ctx.command('rows', (call) =>
        call.list([{ n: 1 }, { n: 22 }], [{ title: 'N', text: (row) => String(row.n) }]),
      )
      ctx.command('long', (call) => {
        call.write(long)
        call.note(long)
        throw new RequestError('REFUSED', long)
      })
      ctx.command('code', () => 42)
      ctx.command('refuse', () => {
        throw new SystemError('PROGRAM_MISSING', 'no rsync here', { hint: 'install the package rsync' })
      })
      ctx.command('break', () => {
        throw new TypeError('undefined is not a function')
      })
      ctx.command('wait', (call) => {
        aborted = once(call.signal, 'abort')
        began()
        return new Promise<void>(() => undefined)
      })
    },
  })
  const house = await boot({ plugins: [able] })
  t.teardown(() => house.dispose())
  const client = new ControlClient(house.root)
  const run = async (command: string, more: Partial<CommandRequest> = {}, files = noFiles()) => {
    const output = paper()
    const ended = await client.command(wanted('able', command, more), files, output, async () => undefined)
    return { ...output.text, ended }
  }

  await t.test('words go in, words and an exit code come out', async (t) => {
    t.same(await run('greet', { args: { who: 'Ana\u001b[31m' }, options: { times: '2' } }), {
      out: 'hello Ana\\u001b[31m\nhello Ana\\u001b[31m\n',
      err: 'that is all\n',
      ended: { exit: 0 },
    })
    t.same((await run('code')).ended, { exit: 42 })
    t.equal((await run('rows')).out, 'N\n1\n22\n')
    t.same(JSON.parse((await run('rows', { json: true })).out), [{ n: 1 }, { n: 22 }])
  })

  await t.test('errors come with their code and hint, mistakes of ours with exit 70', async (t) => {
    t.same((await run('refuse')).ended, {
      exit: 69,
      code: 'PROGRAM_MISSING',
      message: 'no rsync here',
      hint: 'install the package rsync',
    })
    t.match((await run('break')).ended, { exit: 70, message: 'undefined is not a function' })
    t.match((await run('greet', { options: { times: '10' } })).ended, {
      exit: 64,
      code: 'USAGE',
      message: /--times must be a whole number/,
    })
    const output = paper()
    t.match(await client.command(wanted('absent', 'x'), noFiles(), output, async () => undefined), {
      exit: 66,
      code: 'NOT_FOUND',
      hint: /--plugins/,
    })
    t.match((await run('never')).ended, { exit: 66, code: 'NOT_FOUND' })
  })

  await t.test('files come through whole, the largest too', async (t) => {
    const files = [
      { path: 'empty', bytes: Buffer.alloc(0) },
      { path: 'sub/ü', bytes: Buffer.alloc(70_000, 7) },
      { path: 'largest', bytes: Buffer.alloc(largestFile, 9) },
    ]
    t.same(
      (await run('files', {}, filesOf(files))).out,
      `empty 0 -\nsub/ü 70000 7\nlargest ${largestFile} 9\n`,
    )
    const tooLarge = filesOf([{ path: 'huge', bytes: Buffer.alloc(largestFile + 1) }])
    t.match((await run('files', {}, tooLarge)).ended, {
      exit: 65,
      code: 'REQUEST_TOO_LARGE',
      message: /huge/,
    })
    const unread = filesOf(
      Array.from({ length: 20 }, (_, n) => ({ path: `${n}`, bytes: Buffer.alloc(1 << 20) })),
    )
    t.match((await run('deaf', {}, unread)).ended, { exit: 3 }, 'a command need not read them')
    t.equal((await run('greet', { args: { who: 'you' } })).out, 'hello you\n')
  })

  await t.test('long texts arrive as they are', async (t) => {
    const { out, err, ended } = await run('long')
    t.equal(out, long)
    t.equal(err, `${long}\n`)
    t.match(ended, { exit: 77, code: 'REFUSED' })
    t.ok('message' in ended && ended.message?.startsWith('aaaa'))
  })

  await t.test('a client that leaves ends its command', async () => {
    const asked = request({ socketPath: socketOf(house.root), method: 'POST', path: '/command' })
    asked.on('error', () => undefined)
    asked.end(frame(wanted('able', 'wait')))
    await begun
    asked.destroy()
    await aborted
  })

  await t.test('garbage does it no harm', async (t) => {
    const post = async (body: string | Buffer, path = '/command') => {
      const asked = request({ socketPath: socketOf(house.root), method: 'POST', path, agent: false })
      asked.on('error', () => undefined)
      asked.end(body)
      await once(asked, 'response').then(
        ([response]) => response.resume(),
        () => undefined,
      )
      await new Promise((resolve) => (asked.destroyed ? resolve(0) : asked.once('close', resolve)))
    }
    const call = frame(wanted('able', 'files'))
    for (const body of [
      '',
      '\n',
      'garbage\n',
      'null\n',
      '[]\n',
      '7\n',
      '{}\n',
      '{"plugin":"able"}\n',
      '{"plugin":"able","command":"__proto__"}\n',
      '{"plugin":"able","command":"constructor","options":{}}\n',
      '{"plugin":"__proto__","command":"x"}\n',
      frame({ plugin: 'able', command: 'greet' }),
      frame({ plugin: 'able', command: 'greet', options: { times: { $gt: 1 } } }),
      `${call}garbage\n`,
      `${call}{"path":"x","size":0.5}\nabc`,
      `${call}{"path":"x","size":-1}\n`,
      Buffer.alloc(200_000, 120),
      Buffer.from([0, 255, 254, 10]),
    ]) {
      await post(body)
    }
    await post('', '/nowhere')
    await post('', '/explain?who=%00')
    for (const bytes of [
      'garbage\r\n\r\n',
      '\0\0\0\0',
      'GET / HTTP/1.1\r\n',
      'POST /command HTTP/1.1\r\nHost: x\r\n\r\n',
    ]) {
      const socket = connect(socketOf(house.root)).on('error', () => undefined)
      socket.end(bytes)
      await new Promise((resolve) => socket.resume().once('close', resolve))
    }
    t.match(await client.get('/status'), { phase: 'ready', plugins: [{ state: 'running' }] })
    t.equal((await run('greet', { args: { who: 'you' } })).out, 'hello you\n')
  })
})

t.test('a command that looks at nothing but what was typed', async (t) => {
  const look = {
    summary: 'Looks at files.',
    args: { file: { help: 'A file.', path: true } },
    options: { also: paths({ help: 'More of them.' }) },
    here: async () => ({
      run({
        args,
        options,
        print,
      }: Pick<Call, 'print'> & { args: { file: string }; options: { also: readonly string[] } }) {
        if (args.file === '/broken') throw new RequestError('DAMAGED', 'it is broken', { hint: 'mend it' })
        print([args.file, ...options.also].join(' '))
        return 3
      },
    }),
  } as const
  const idle = definePlugin({
    name: 'idle',
    api: 1,
    summary: 'Does nothing.',
    commands: { look },
    start: () => undefined,
  })
  const house = await boot({ plugins: [idle] })
  t.teardown(() => house.dispose())

  await t.test('needs no start() to say what it does, and runs in a test as anywhere', async (t) => {
    t.match(await house.status(), { plugins: [{ name: 'idle', state: 'running' }] })
    t.same(await house.command(['idle', 'look'], { args: { file: '/a' }, options: { also: 'b\n/c' } }), {
      ended: { exit: 3 },
      out: '/a /b /c\n',
      err: '',
    })
    t.match(await house.command(['idle', 'look'], { args: { file: '/broken' } }), {
      ended: { exit: 65, code: 'DAMAGED', message: 'it is broken', hint: 'mend it' },
      out: '',
    })
  })

  await t.test(
    "is not run in the server, with the server's rights, whoever asks over the socket",
    async (t) => {
      const output = paper()
      const client = new ControlClient(house.root)
      const ended = await client.command(wanted('idle', 'look'), noFiles(), output, async () => undefined)
      t.match(ended, { exit: 65, code: 'REQUEST_INVALID', message: 'idle look runs where it is typed' })
      t.same(output.text, { out: '', err: '' })
    },
  )

  await t.test('is refused from a plugin that says twice or in no way what it does', async (t) => {
    const twice = { ...idle, name: 'twice', start: (ctx: Giving) => ctx.command('look', () => undefined) }
    const never = { ...idle, name: 'never', commands: { look: { ...look, here: 'here' } } }
    const other = await boot({ plugins: [plain, twice, never] })
    t.teardown(() => other.dispose())
    const { plugins } = await other.status()
    t.match(Object.fromEntries(plugins.map(({ name, message }) => [name, message])), {
      plain: undefined,
      twice: /"look" runs where it is typed/,
      never: /commands look: has a "here" that is no function/,
    })
  })
})

t.test('a server that dies under a command leaves a sentence and "try again"', async (t) => {
  const dead = { exit: 75, message: 'the server ended before the command did', hint: 'see its log' }
  for (const command of ['talking', 'silent']) {
    const root = await folderFor(t)
    const child = await startChild(t, root)
    const output = paper()
    const ended = new ControlClient(root).command(
      wanted('patient', command),
      noFiles(),
      output,
      async () => undefined,
    )
    if (command === 'silent') await heard(child, 'asked')
    else while (output.text.out === '') await sleep(20)
    await kill(child)
    t.same(await ended, dead, command)
    t.equal(output.text.out, command === 'talking' ? 'it goes on\n' : '')
  }
})

t.test('stopping over the socket returns when the socket is gone, and not before', async (t) => {
  const root = await folderFor(t)
  const slow = definePlugin({
    name: 'slow',
    api: 1,
    summary: 'Takes its time to stop.',
    start: (ctx) => ctx.defer(() => sleep(700)),
  })
  const school = await boot({ plugins: [slow], root })
  let stopped = false
  school.house.onStopRequest = () => {
    school.house.stop().then(() => {
      stopped = true
    })
  }
  await new ControlClient(root).stop()
  t.notOk(existsSync(socketOf(root)))
  for (let tries = 0; tries < 100 && !stopped; tries += 1) await sleep(10)
  t.ok(stopped)
  await t.rejects(new ControlClient(root).stop(), { code: 'NOT_RUNNING' })
})

t.test('the control socket can be opened and closed again and again', async (t) => {
  const run = await folderFor(t)
  const controlled = {
    status: async () => ({ fine: true }),
    explain: async (who: string) => ({ who }),
    command: async () => ({ exit: 0 }),
    acceptDirectory: () => ({}),
    stop: () => undefined,
  }
  for (let round = 0; round < 3; round += 1) {
    const close = await openControl(run, controlled)
    const idle = connect(socketPath(run))
    await once(idle, 'connect')
    await close()
    await new Promise((resolve) => (idle.destroyed ? resolve(0) : idle.resume().once('close', resolve)))
    t.notOk(existsSync(socketPath(run)))
  }
  const squatter = createServer().listen(socketPath(run))
  await once(squatter, 'listening')
  const close = await openControl(run, controlled)
  await close()
  squatter.close()
  t.equal(readFileSync('/proc/net/unix', 'utf8').includes(run), false, 'no socket is left')
})
