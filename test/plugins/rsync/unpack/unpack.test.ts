import { spawnSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { existsSync } from 'node:fs'
import { lstat, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { SugarError } from '../../../../core/errors.js'
import { limitsOf } from '../../../../plugins/rsync/unpack/limits.js'
import { giveAttributes } from '../../../../plugins/rsync/unpack/own.js'
import { type Unpacked, type Unpacking, unpackTree } from '../../../../plugins/rsync/unpack/unpack.js'
import { needs } from '../../../support/needs.js'
import { directory, type Entry, extended, tarOf } from '../../../support/rsync/handmade-tar.js'

t.setTimeout(300_000)

interface Place {
  readonly folder: string
  readonly packed: string
  readonly to: string
  run(more?: Partial<Unpacking>): Promise<Unpacked>
  /** The code and message of what it is refused with. */
  refusal(more?: Partial<Unpacking>): Promise<string>
}

/** A packed file, and an empty directory for what is in it. */
async function place(t: Pick<Test, 'teardown'>, packed: Buffer): Promise<Place> {
  const folder = await mkdtemp(join(tmpdir(), 'sugar-unpack-'))
  t.teardown(() => rm(folder, { recursive: true, force: true }))
  const [file, to] = [join(folder, 'packed'), join(folder, 'tree')]
  await mkdir(to, { mode: 0o700 })
  await writeFile(file, packed)
  const run = (more: Partial<Unpacking> = {}) =>
    unpackTree({
      ...{ packed: file, to, owners: 'attributes', notes: join(folder, 'notes'), limits: limitsOf(1e9) },
      ...{ signal: new AbortController().signal, progress: () => undefined },
      ...more,
    })
  return {
    ...{ folder, packed: file, to, run },
    async refusal(more) {
      try {
        await run(more)
        return ''
      } catch (error) {
        if (!(error instanceof SugarError)) throw error
        return `${error.code}: ${error.message}`
      }
    },
  }
}

/** What a program makes of bytes. */
function piped(words: readonly [string, ...string[]], input: Buffer): Buffer {
  const [program, ...args] = words
  const { stdout, stderr, status } = spawnSync(program, args, { input, maxBuffer: 1e9 })
  if (status !== 0) throw new Error(`${program}: ${stderr}`)
  return stdout
}

const tar = tarOf(directory('bin'), { name: 'bin/sh', mode: 0o4755, content: 'x'.repeat(3000) })

const packings: readonly [program: string, debian: string, ...args: string[]][] = [
  ['xz', 'xz-utils', '-c'],
  ['xz', 'xz-utils', '-c', '--format=lzma'],
  ['bzip2', 'bzip2', '-c'],
  ['gzip', 'gzip', '-c'],
  ['cat', 'coreutils'],
]

for (const [program, debian, ...args] of packings) {
  t.test(
    `what ${[program, ...args].join(' ')} has packed is known by what it is, and unpacked`,
    async (t) => {
      if (!needs(t, program, debian)) return
      const packed = piped([program, ...args], tar)
      const { run, to } = await place(t, packed)
      const steps: number[][] = []
      const { tally, sums } = await run({ progress: (done, size) => void steps.push([done, size]) })
      t.same(tally.whole, { entries: 2, bytes: 8192 })
      t.equal(sums.sha256, piped(['sha256sum'], packed).toString().slice(0, 64))
      t.equal(sums.md5, piped(['md5sum'], packed).toString().slice(0, 32))
      t.same(steps.at(-1), [packed.length, packed.length])
      t.equal(await readFile(join(to, 'bin/sh'), 'utf8'), 'x'.repeat(3000))
      t.equal(
        (await lstat(join(to, 'bin/sh'))).mode & 0o7777,
        0o600,
        'nothing on the disk is setuid or can be run',
      )
    },
  )
}

t.test('what is broken is refused, with what is wrong with it', async (t) => {
  if (!needs(t, 'xz', 'xz-utils') || !needs(t, 'bzip2', 'bzip2')) return
  const xz = piped(['xz', '-c'], tar)
  const cut = await place(t, xz.subarray(0, xz.length - 30))
  t.match(await cut.refusal(), /^REQUEST_INVALID: it cannot be unpacked: xz: .*Unexpected end of input/)
  const noise = Buffer.from(xz)
  noise.fill(0x55, 40, 60)
  t.match(await (await place(t, noise)).refusal(), /^REQUEST_INVALID: it cannot be unpacked: xz: .*corrupt/)
  t.match(
    await (await place(t, Buffer.from('no tar'))).refusal(),
    /^REQUEST_INVALID: it is no tar, packed with/,
  )
  t.match(await (await place(t, Buffer.alloc(0))).refusal(), /it is no tar, packed with/)
  const text = piped(['gzip', '-c'], Buffer.from('a letter to somebody\n'.repeat(100)))
  t.match(await (await place(t, text)).refusal(), /REQUEST_INVALID: it is no tar, or a damaged one/)
  const behind = await place(t, Buffer.concat([piped(['bzip2', '-c'], tar), Buffer.from('and more')]))
  const whole = piped(['sha256sum'], await readFile(behind.packed))
    .toString()
    .slice(0, 64)
  t.equal((await behind.run()).sums.sha256, whole, 'what an unpacker passes over is summed as well')

  const { packed, refusal } = await place(t, xz)
  t.match(await refusal({ packed: `${packed}.not` }), /^NOT_FOUND: there is no file/)
  await rm(packed)
  piped(['mkfifo', packed], Buffer.alloc(0))
  t.match(await refusal(), /^REFUSED: .* is not a file/, 'nobody waits for a fifo')
})

t.test('files that take all memory or all of the disk to unpack are refused', async (t) => {
  if (!needs(t, 'xz', 'xz-utils')) return
  const greedy = piped(['xz', '-c', '--lzma2=dict=1GiB'], tar)
  // xz makes its window no larger than what it packs; one that is hostile says so all the same.
  const lzma = piped(['xz', '-c', '--format=lzma'], tar)
  lzma.writeUInt32LE(2 ** 31, 1)
  t.match(
    await (await place(t, lzma)).refusal(),
    /REQUEST_INVALID: it cannot be unpacked: xz: .*[Mm]emory usage limit/,
  )
  t.match(await (await place(t, greedy)).refusal(), /[Mm]emory usage limit/)

  // What packs best may come first: all of it counts.
  const image = [
    { name: 'swap', content: Buffer.alloc(100 << 20) },
    { name: 'noise', content: randomBytes(4 << 20) },
  ]
  t.equal(await (await place(t, piped(['xz', '-c', '-0'], tarOf(...image)))).refusal(), '')

  const zeros = tarOf({ name: 'zeros', content: Buffer.alloc(200 << 20) })
  const bomb = await place(t, piped(['xz', '-c', '-0'], zeros))
  t.match(await bomb.refusal(), /REQUEST_INVALID: it is more than 200 times larger/)
  t.ok((await lstat(join(bomb.to, 'zeros'))).size < 150 << 20, 'it is ended on the way')
  const terabyte = tarOf({
    name: 'a',
    forge: (h) => void h.write('\x80\0\0\0\0\0\x01\0\0\0\0\0', 124, 'latin1'),
  })
  t.match(await (await place(t, terabyte)).refusal(), /would take more than 1000 MB/)
})

const secret = 'the key of the school'

t.test('whatever is in a tar, nothing outside the directory is touched', async (t) => {
  const { folder } = await place(t, Buffer.alloc(0))
  const outside = join(folder, 'outside')
  await mkdir(outside)
  await writeFile(join(outside, 'secret'), secret, { mode: 0o600 })
  const hostile: [title: string, ...entries: Entry[]][] = [
    ['absolute', { name: join(outside, 'new'), content: 'x' }],
    ['upwards', { name: '../../outside/new', content: 'x' }],
    ['through a link', { name: 'l', type: '2', target: outside }, { name: 'l/new', content: 'x' }],
    [
      'through a link over a directory',
      directory('l'),
      { name: 'l', type: '2', target: outside },
      { name: 'l/new' },
    ],
    ['onto a link', { name: 'l', type: '2', target: join(outside, 'secret') }, { name: 'l', content: 'x' }],
    ['hard link', { name: 'l', type: '1', target: join(outside, 'secret') }, { name: 'l', content: 'x' }],
    ['hard link upwards', { name: 'l', type: '1', target: '../outside/secret' }],
    [
      'hard link through a link',
      { name: 'l', type: '2', target: outside },
      { name: 'm', type: '1', target: 'l/secret' },
    ],
    ['extended', extended({ path: join(outside, 'new') }), { name: 'x', content: 'x' }],
  ]
  for (const owners of ['attributes', 'fakeroot'] as const) {
    for (const [title, ...entries] of hostile) {
      const { refusal } = await place(t, tarOf(...entries))
      t.match(await refusal({ owners }), /^REQUEST_INVALID: /, title)
    }
  }
  t.same(await readdir(outside), ['secret'])
  t.equal(await readFile(join(outside, 'secret'), 'utf8'), secret)
  t.equal((await lstat(join(outside, 'secret'))).nlink, 1)
})

t.test('links, devices and setuid files come to the disk as files that do nothing', async (t) => {
  if (!needs(t, 'setfattr', 'attr') || !needs(t, 'getfattr', 'attr')) return
  const name = 'qu"o\\te\nline \xff'
  const { run, to, folder } = await place(
    t,
    tarOf(
      { name: 'secret', type: '2', mode: 0o777, target: '/etc/shadow' },
      { name: 'sda', type: '4', mode: 0o660, gid: 6, major: 8, minor: 0 },
      { name: 'su', mode: 0o6755, content: 'x' },
      { name, mode: 0, uid: 12, gid: 34 },
      directory('shut', { mode: 0 }),
      { name: 'shut/in', content: 'y' },
      { name: 'su2', type: '1', target: 'su' },
    ),
  )
  await run()
  await giveAttributes(join(folder, 'notes'), to, new AbortController().signal)
  const found = piped(['find', to, '-mindepth', '1', '-printf', '%y %m\n'], Buffer.alloc(0)).toString()
  t.same([...new Set(found.trim().split('\n'))].sort(), ['d 700', 'f 600'])
  t.equal(await readFile(join(to, 'secret'), 'utf8'), '/etc/shadow')
  const attributes = spawnSync('getfattr', ['-R', '-d', '.'], { cwd: to, encoding: 'latin1' }).stdout
  for (const [path, stat] of [
    ['secret', '120777 0,0 0:0'],
    ['sda', '60660 8,0 0:6'],
    ['su', '106755 0,0 0:0'],
    ['su2', '106755 0,0 0:0'],
    [`${String.raw`qu"o\134te\012line `}\xff`, '100000 0,0 12:34'],
    ['shut', '40000 0,0 0:0'],
  ] as const)
    t.ok(attributes.includes(`# file: ${path}\nuser.rsync.%stat="${stat}"\n`), path)
})

t.test('what tells a program to do something else is not heeded', async (t) => {
  if (!needs(t, 'xz', 'xz-utils')) return
  const { run, to, folder } = await place(t, piped(['xz', '-c'], tar))
  const before = { ...process.env }
  t.teardown(() => {
    process.env = before
  })
  process.env.TAR_OPTIONS = `--to-command=touch\\ ${join(folder, 'ran')}`
  process.env.XZ_OPT = '--no-such-option'
  await run()
  t.notOk(existsSync(join(folder, 'ran')))
  t.ok(existsSync(join(to, 'bin/sh')))
})

t.test('work that is given up ends at once, and its programs with it', async (t) => {
  if (!needs(t, 'xz', 'xz-utils')) return
  const noise = Buffer.alloc(8 << 20)
  for (let at = 0; at < noise.length; at += 4) noise.writeUInt32LE((at * 2654435761) >>> 0, at)
  const { run, to } = await place(t, piped(['xz', '-0', '-c'], tarOf({ name: 'noise', content: noise })))
  const stop = new AbortController()
  const reason = new Error('the person has gone')
  const run1 = run({ signal: stop.signal, progress: () => stop.abort(reason) })
  await t.rejects(run1, reason)
  const left = piped(
    ['sh', '-c', `ls -d /proc/[0-9]*/cwd | xargs -n1 readlink 2>/dev/null || true`],
    Buffer.alloc(0),
  )
  t.notMatch(left.toString(), new RegExp(to))
})

t.test('without its unpacker a packed tree is refused, with what to install', async (t) => {
  const { refusal } = await place(t, Buffer.from('fd377a585a000000', 'hex'))
  const path = process.env.PATH
  t.teardown(() => {
    process.env.PATH = path
  })
  process.env.PATH = '/nowhere'
  t.match(await refusal(), /^PROGRAM_MISSING: the program (xz|tar) is not installed/)
})
