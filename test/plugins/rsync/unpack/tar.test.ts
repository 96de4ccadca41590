import { spawnSync } from 'node:child_process'
import fc from 'fast-check'
import t from 'tap'
import { RequestError } from '../../../../core/errors.js'
import { modeOf } from '../../../../plugins/rsync/unpack/entry.js'
import type { FilterSpec } from '../../../../plugins/rsync/unpack/filter.js'
import { limitsOf } from '../../../../plugins/rsync/unpack/limits.js'
import { runs } from '../../../support/rounds.js'
import {
  directory,
  type Entry,
  end,
  entry,
  extended,
  long,
  tarOf,
} from '../../../support/rsync/handmade-tar.js'
import { filtered } from '../../../support/rsync/tar-filter.js'

t.setTimeout(300_000)

/** Why entries are refused; the empty text when they are not. */
function refusal(entries: readonly Entry[], spec: Partial<FilterSpec> = {}): string {
  return refusalOf([tarOf(...entries)], spec)
}

function refusalOf(chunks: Iterable<Buffer>, spec: Partial<FilterSpec> = {}): string {
  try {
    filtered(chunks, spec)
    return ''
  } catch (error) {
    if (!(error instanceof RequestError) || error.code !== 'REQUEST_INVALID') throw error
    return error.message
  }
}

/** GNU tar's list of what a filter lets through. */
function listed(tar: Buffer): string[] {
  const { stdout, stderr, status } = spawnSync(
    'tar',
    ['-tvf', '-', '--numeric-owner', '--quoting-style=escape'],
    {
      input: tar,
      encoding: 'latin1',
      env: { PATH: process.env.PATH, LC_ALL: 'C', TZ: 'UTC' },
    },
  )
  if (status !== 0) throw new Error(stderr)
  return stdout.split('\n').filter((line) => line !== '')
}

const file: Entry = { name: 'a', content: 'x' }

t.test('what would lead out of the tree is refused', async (t) => {
  const refused: [title: string, reason: RegExp, ...entries: Entry[]][] = [
    ['an absolute path', /"\/etc\/passwd" is absolute/, { name: '/etc/passwd' }],
    ['a path upwards', /"\.\.\/x" leads upwards/, { name: '../x' }],
    ['a path upwards in the middle', /leads upwards/, { name: 'a/../../x' }],
    ['a path upwards at the end', /leads upwards/, directory('a/..')],
    ['an absolute long name', /is absolute/, long('L', '/etc/passwd'), file],
    ['an absolute extended path', /is absolute/, extended({ path: '/etc/passwd' }), file],
    ['an extended path upwards', /leads upwards/, extended({ path: 'a/../../b' }), file],
    ['a NUL in a long name', /holds a NUL/, long('L', 'a\0b'), file],
    ['no name', /no name/, { name: '' }],
    ['a hard link out', /"\/etc\/passwd" is absolute/, { name: 'l', type: '1', target: '/etc/passwd' }],
    ['a hard link upwards', /leads upwards/, { name: 'l', type: '1', target: '../x' }],
    ['a hard link to what is not in it', /which is not in it/, { name: 'l', type: '1', target: 'b' }],
    ['a hard link to itself', /which is not in it/, { name: 'l', type: '1', target: 'l' }],
    [
      'a hard link to a directory',
      /the directory "d"/,
      directory('d/'),
      { name: 'l', type: '1', target: 'd' },
    ],
    [
      'a hard link behind another of the name',
      /twice, the second time as a hard link/,
      file,
      { name: 'b', content: 'y' },
      { name: 'b', type: '1', target: 'a' },
    ],
    [
      'a file below a link',
      /"l\/passwd" leads through "l", a link/,
      { name: 'l', type: '2', target: '/etc' },
      { name: 'l/passwd', content: 'x' },
    ],
    [
      'a file far below a link',
      /leads through "l", a link/,
      { name: 'l', type: '2', target: '.' },
      { name: 'l/a/b/c', content: 'x' },
    ],
    [
      'a link that becomes a directory',
      /"l" is in it twice, as link and as directory/,
      { name: 'l', type: '2', target: '/etc' },
      directory('l'),
    ],
    ['a directory that becomes a link', /twice/, directory('l'), { name: 'l', type: '2', target: '/etc' }],
    [
      'a link that leads elsewhere the second time',
      /"l" is in it twice, both times as a link/,
      { name: 'l', type: '2', target: '/etc' },
      { name: 'l', type: '2', target: '/usr' },
    ],
    ['a file below a file', /leads through "a", a file/, file, { name: 'a/b' }],
    [
      'a file that is written anew behind a hard link',
      /again, behind a hard link/,
      file,
      { name: 'b', type: '1', target: 'a' },
      file,
    ],
    ['a link to nowhere', /leads nowhere/, { name: 'l', type: '2' }],
    [
      'a link whose target is too long',
      /target of "l" is too long/,
      long('K', 'x'.repeat(4096)),
      {
        name: 'l',
        type: '2',
      },
    ],
    [
      'a top that is a file',
      /top of the tree is no directory/,
      { name: './', type: '0', forge: (h) => h.write('.\0', 0) },
    ],
  ]
  for (const [title, reason, ...entries] of refused) t.match(refusal(entries), reason, title)
})

t.test('what is no tree of a laptop is refused', async (t) => {
  const name = 'n'.repeat(256)
  const refused: [title: string, reason: RegExp, ...entries: Entry[]][] = [
    ['a sparse file', /is a sparse file/, { name: 'a', type: 'S' }],
    ['a sparse file of POSIX', /sparse file/, extended({ 'GNU.sparse.major': '1' }), file],
    ['a sparse file of a terabyte', /sparse/, extended({ 'GNU.sparse.realsize': '1099511627776' }), file],
    ['a volume', /another volume/, { name: 'a', type: 'M' }],
    ['an unknown type', /unknown type "Q"/, { name: 'a', type: 'Q' }],
    ['a socket of star', /unknown type "s"/, { name: 'a', type: 's' }],
    ['a name of 256 bytes', /more than 255 bytes/, long('L', name), file],
    ['a path that is too long', /more than 3500 bytes/, long('L', `${'n'.repeat(99)}/`.repeat(36)), file],
    ['too many directories in one another', /256 directories deep/, long('L', `${'d/'.repeat(256)}f`), file],
    ['a directory with a content', /a directory, has a content/, { ...directory('d'), content: 'x' }],
    ['a link with a content', /a link, has a content/, { name: 'l', type: '2', target: 'x', content: 'x' }],
    ['a device with a content', /has a content/, { name: 'd', type: '3', content: 'x' }],
    ['a device that no kernel has', /which no kernel has/, { name: 'd', type: '3', major: 4096 }],
    ['an owner beyond all numbers', /belongs to 4294967295/, extended({ uid: '4294967295' }), file],
    ['a time beyond all disks', /time that no disk/, extended({ mtime: '999999999999999' }), file],
    ['a size that is no number', /the size in an extended header/, extended({ size: '1e3' }), file],
    ['a time that is no number', /a time in an extended header/, extended({ mtime: 'now' }), file],
    ['the name of all entries at once', /the name of all entries/, extended({ path: 'x' }, 'g'), file],
    ['no name in an extended header', /no name/, extended({ path: '' }), file],
    ['a file that is called like a directory', /"a", a file, is called "a\/\."/, { name: 'a/.' }],
    ['a link that is called so', /is called "l\/", as if/, { name: 'l/', type: '2', target: 'x' }],
    [
      'a hard link that is called so',
      /"b" is a hard link, with "b\/\." as if/,
      file,
      { name: 'b/.', type: '1', target: 'a' },
    ],
    [
      'a hard link to a file that is called so',
      /"b" is a hard link, with "a\/" as if/,
      file,
      { name: 'b', type: '1', target: 'a/' },
    ],
    [
      'an owner of blanks',
      /owner in a header is not/,
      { name: 'a', forge: (h) => h.write(' '.repeat(8), 108) },
    ],
    [
      'a device where there are none',
      /a format of tar that has none/,
      { name: 'd', type: '3', major: 1, minor: 3, forge: (h) => h.fill(0, 257, 265) },
    ],
    ['two long names for one entry', /two extended headers/, long('L', 'a'), long('L', 'b'), file],
    ['an end behind a long name', /ends behind an extended header/, long('L', 'a')],
    ['a tar of nothing', /is empty/],
    ['a file larger than the limit', /would take more than 1000 MB/, { name: 'a', size: 0o77777777777 }],
    [
      'a file of a terabyte',
      /would take more than/,
      { name: 'a', forge: (h) => h.write('\x80\0\0\0\0\0\x01\0\0\0\0\0', 124, 'latin1') },
    ],
    ['a size below nothing', /size in a header is -1/, { name: 'a', forge: (h) => h.fill(0xff, 124, 136) }],
    [
      'a size beyond all numbers',
      /size in a header is not a number/,
      { name: 'a', forge: (h) => h.fill(0x80, 124, 136) },
    ],
    [
      'a mode that is no number',
      /mode in a header is not/,
      { name: 'a', forge: (h) => h.write('rwxrwxr', 100) },
    ],
    ['an extended header of megabytes', /an extended header has/, { name: 'x', type: 'x', size: 2 ** 21 }],
  ]
  for (const [title, reason, ...entries] of refused) t.match(refusal(entries), reason, title)

  const whole = tarOf(file)
  t.match(refusalOf([whole.subarray(0, 700)]), /ends in the middle/, 'a tar that was cut off')
  t.match(
    refusalOf([whole.subarray(0, 1024)]),
    /ends in the middle/,
    'a tar that was cut off between two entries',
  )
  whole[3] = 0x41
  t.match(refusalOf([whole]), /sum of a header is wrong/, 'a damaged header')
  for (const damaged of [
    '6 path=a\n',
    '99 path=a\n',
    '9 path=a',
    'x',
    '0 a=b\n',
    '9999999999 path=x\n',
    '8 path a\n',
    '16  path=/etc/x\n',
    '16 \tpath=/etc/x\n',
    '5 =a\n',
  ])
    t.match(
      refusal([{ name: 'x', type: 'x', content: damaged }, file]),
      /extended header is damaged/,
      damaged,
    )
})

t.test('no limit can be got round', async (t) => {
  const devices = Array.from({ length: 11 }, (_, index) => ({
    name: `dev/${index}`,
    type: '3',
    major: 1,
    minor: index,
  }))
  t.match(refusal(devices, { limits: { ...limitsOf(1e9), devices: 10 } }), /more than 10 devices/)
  const files = Array.from({ length: 6 }, (_, index) => ({ name: `${index}`, content: 'x'.repeat(4000) }))
  t.match(refusal(files, { limits: { ...limitsOf(1e9), entries: 5 } }), /more than 5 entries/)
  t.match(
    refusal(files, { limits: limitsOf(5 * 4096) }),
    /would take more than/,
    'small files count as whole blocks',
  )
  t.equal(refusal(files, { limits: limitsOf(6 * 4096) }), '')
  const hidden = { name: 'a/b/c/d/e/f', content: 'x' }
  t.match(
    refusal([hidden], { limits: { ...limitsOf(1e9), entries: 5 } }),
    /entries/,
    'directories count that are not named',
  )
  t.match(refusal([hidden], { limits: { ...limitsOf(1e9), names: 20 } }), /paths have more than 20 bytes/)
  const links = [
    file,
    ...Array.from({ length: 5 }, (_, index) => ({ name: `${index}`, type: '1', target: 'a' })),
  ]
  t.match(refusal(links, { limits: { ...limitsOf(1e9), entries: 5 } }), /entries/, 'and hard links do')

  const zeros = Buffer.alloc(1 << 20)
  function* content(megabytes: number) {
    yield entry({ name: 'zeros', size: megabytes << 20 })
    for (let count = 0; count < megabytes; count += 1) yield zeros
    yield end
  }
  const size = 300_000
  t.equal(refusalOf(content(50), { size }), '', 'what is small may be packed as tightly as it will')
  t.match(refusalOf(content(80), { size }), /more than 200 times larger/, 'what is large may not')
  function* trailing() {
    yield tarOf(file)
    for (;;) yield zeros
  }
  t.match(refusalOf(trailing(), { size }), /200 times larger/, 'nor what has no end behind its end')
  t.match(refusalOf(trailing(), { limits: limitsOf(1e6) }), /would take more than 1 MB/)
})

t.test('ten million entries are refused before a twentieth of them', async (t) => {
  let made = 0
  function* entries() {
    for (; made < 10_000_000; made += 100) {
      const some = Array.from({ length: 100 }, (_, index) =>
        entry({ name: `d/${made + index}`, type: '2', target: 'x' }),
      )
      yield Buffer.concat(some)
    }
  }
  t.match(refusalOf(entries(), { limits: limitsOf(1e12) }), /more than 500000 entries/)
  t.ok(made <= 500_001, `${made} were read`)
})

t.test('what a tree may hold comes through, and does no harm', async (t) => {
  const name = 'n'.repeat(150)
  const tar = tarOf(
    directory('./', { mode: 0o1777, uid: 1, gid: 2 }),
    { name: './suid', mode: 0o6755, uid: 1000, gid: 50, content: 'x' },
    { name: 'dev/tty1', type: '3', mode: 0o620, gid: 5, major: 4, minor: 1 },
    { name: 'dev/sda', type: '4', mode: 0, major: 259, minor: 70_000 },
    { name: 'dev/fifo', type: '6', mode: 0o600 },
    { name: 'l', type: '2', mode: 0o644, target: '/etc/passwd' },
    long('K', `../${name}`),
    { name: 'long', type: '2', mode: 0o777 },
    { name: 'm', type: '1', target: './suid', size: 1 },
    { name: 'k', type: '1', target: 'l' },
    extended({ path: `${name}/x`, mtime: '1000000000.25', 'SCHILY.xattr.user.x': '\0\n=', uid: '70000' }),
    { name: 'short', content: 'y' },
    extended({ comment: 'made by somebody' }, 'g'),
    { name: 'old/', type: '\0' },
    { name: 'n', forge: (head) => head.write('prefix', 345) },
    { name: 'v7', content: 'z', forge: (head) => head.fill(0, 257, 345) },
    directory('dev', { mode: 0o700, uid: 9 }),
  )
  const { out, owned, filter } = filtered([tar])
  const list = listed(out)
  t.equal(list.length, 17)
  for (const line of list) t.match(line, /^(d|-|h)rw[x-]------ 0\/0 /)
  const sizes = list.map((line) => line.split(/ +/).slice(2).join(' '))
  t.match(sizes, [
    '0 2001-09-09 01:46 ./',
    '1 2001-09-09 01:46 suid',
    '0 2001-09-09 01:46 dev/',
    '0 2001-09-09 01:46 dev/tty1',
    '0 2001-09-09 01:46 dev/sda',
    '0 2001-09-09 01:46 dev/fifo',
    '11 2001-09-09 01:46 l',
    '153 2001-09-09 01:46 long',
    '0 2001-09-09 01:46 m link to suid',
    '0 2001-09-09 01:46 k link to l',
    `0 2001-09-09 01:46 ${name}/`,
    `1 2001-09-09 01:46 ${name}/x`,
    '0 2001-09-09 01:46 old/',
    '0 2001-09-09 01:46 prefix/',
    '0 2001-09-09 01:46 prefix/n',
    '1 2001-09-09 01:46 v7',
    '0 2001-09-09 01:46 dev/',
  ])
  const told = [...owned].map(([path, one]) => {
    return `${path} ${modeOf(one).toString(8)} ${one.major},${one.minor} ${one.uid}:${one.gid}`
  })
  const should = [
    ' 41777 0,0 1:2',
    'suid 106755 0,0 1000:50',
    'dev 40700 0,0 9:0',
    'dev/tty1 20620 4,1 0:5',
    'dev/sda 60000 259,70000 0:0',
    'dev/fifo 10600 0,0 0:0',
    'l 120777 0,0 0:0',
    'long 120777 0,0 0:0',
    `${name} 40755 0,0 0:0`,
    `${name}/x 100644 0,0 70000:0`,
    'old 40644 0,0 0:0',
    'prefix 40755 0,0 0:0',
    'prefix/n 100644 0,0 0:0',
    'v7 100644 0,0 0:0',
  ]
  t.same(told.sort(), should.sort())
  t.same(filter.tally.whole, { entries: 15, bytes: 9 * 4096 })

  const { out: behind } = filtered([tar], { owners: 'fakeroot' })
  t.match(
    listed(behind).filter((line) => line.startsWith('l')),
    [/l -> \/rsyncd-munged\/\/etc\/passwd$/, /long -> \/rsyncd-munged\/\.\.\/n+$/],
  )
})

t.test('a tar that was added to holds what came last', async (t) => {
  const again = { name: 'a', content: 'later', uid: 7 }
  const { owned, filter } = filtered([tarOf(file, again)])
  t.equal(owned.get('a')?.uid, 7)
  t.equal(filter.tally.whole.entries, 1)
})

t.test('a tar is read the same however it is cut', async (t) => {
  const tar = tarOf(
    directory('d/'),
    extended({ mtime: '-5.5', path: 'd/x' }),
    file,
    long('L', 'y'.repeat(200)),
    {
      ...file,
      content: 'z'.repeat(3000),
    },
  )
  const { out } = filtered([tar])
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 0, max: tar.length }), { maxLength: 40 }), (cuts) => {
      const places = [0, ...cuts.sort((a, b) => a - b), tar.length]
      const chunks = places.slice(1).map((place, index) => Buffer.from(tar.subarray(places[index], place)))
      return filtered(chunks).out.equals(out)
    }),
  )
  t.ok(filtered(Array.from(tar, (byte) => Buffer.from([byte]))).out.equals(out), 'byte by byte too')
})

t.test('whatever bytes come, they are refused or harmless', async () => {
  const anything = fc.uint8Array({ maxLength: 3000 }).map((bytes) => Buffer.from(bytes))
  const headers = fc.array(
    fc.record({
      name: fc.string({ maxLength: 120, unit: 'binary' }).map((text) => Buffer.from(text).toString('latin1')),
      type: fc.constantFrom(...'01234567xgLKSDMVNA\0'),
      size: fc.integer({ min: 0, max: 2000 }),
      target: fc.string({ maxLength: 100 }),
      content: fc.uint8Array({ maxLength: 1500 }).map((bytes) => Buffer.from(bytes)),
      forge: fc
        .array(fc.tuple(fc.integer({ min: 0, max: 511 }), fc.integer({ min: 0, max: 255 })), { maxLength: 8 })
        .map((changes) => (head: Buffer) => {
          for (const [at, byte] of changes) head[at] = byte
        }),
    }),
    { maxLength: 8 },
  )
  const check = (tar: Buffer) => {
    try {
      const { out, owned } = filtered([tar])
      for (const line of listed(out)) if (!/^(?:-rw-------|drwx------|hrw-------) /.test(line)) return false
      return [...owned.keys()].every((path) => !path.startsWith('/') && !path.split('/').includes('..'))
    } catch (error) {
      return error instanceof RequestError
    }
  }
  // Each run starts a program: making a counterexample smaller would take longer than the test may.
  fc.assert(fc.property(anything, check), { ...runs(300), endOnFailure: true })
  fc.assert(
    fc.property(headers, (entries) => check(tarOf(...entries))),
    { ...runs(1500), endOnFailure: true },
  )
})
