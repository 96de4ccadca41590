import { execFileSync, spawnSync } from 'node:child_process'
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import fc from 'fast-check'
import t, { type Test } from 'tap'
import { receiver } from '../../core/cli/receive.js'
import { foldedName, freeName } from '../../core/lib/free-name.js'
import { lacks } from '../support/needs.js'

const companions = ['.meta/*.json', '.meta/*.png']

/** A directory that is a stick, and one in which content is made; gone with the test. */
function places(t: Test): { stick: string; source: string } {
  const top = mkdtempSync(join(tmpdir(), 'sugar-additions-'))
  t.teardown(() => rmSync(top, { recursive: true, force: true }))
  const [stick, source] = [join(top, 'stick'), join(top, 'source')]
  mkdirSync(stick)
  mkdirSync(source)
  return { stick, source }
}

/** A tar stream of files, as a server sends it. */
function tarOf(source: string, files: Readonly<Record<string, string>>): AsyncIterable<Buffer> {
  rmSync(source, { recursive: true })
  mkdirSync(source)
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(source, name)), { recursive: true })
    writeFileSync(join(source, name), text)
    chmodSync(join(source, name), 0o644)
  }
  return packed(source)
}

async function* packed(source: string): AsyncGenerator<Buffer> {
  const names = readdirSync(source)
  if (names.length > 0) yield execFileSync('tar', ['-cf', '-', '-C', source, '--', ...names])
}

const add = (to: string, content: AsyncIterable<Uint8Array>, notes: string[] = [], given = companions) =>
  receiver(new Set([to]), (line) => notes.push(line))({ to, form: 'additions', companions: given }, content)

const song = { 'song.txt': 'la la', '.meta/song.txt.json': '{}', '.meta/song.txt.png': 'P' }

t.test('files come with their companions, readable for everybody, and nothing else is left', async (t) => {
  const { stick, source } = places(t)
  const before = process.umask(0o077)
  try {
    await add(stick, tarOf(source, { ...song, plain: 'x' }))
  } finally {
    process.umask(before)
  }
  t.same(readdirSync(stick).sort(), ['.meta', 'plain', 'song.txt'])
  t.same(readdirSync(join(stick, '.meta')).sort(), ['song.txt.json', 'song.txt.png'])
  t.equal(statSync(join(stick, 'song.txt')).mode & 0o777, 0o644)
  t.equal(statSync(join(stick, '.meta')).mode & 0o777, 0o755)
})

t.test('what is there stays, whatever its case; the new one gets a number, its companions too', async (t) => {
  const { stick, source } = places(t)
  writeFileSync(join(stick, 'SONG.TXT'), 'mine')
  const notes: string[] = []
  await add(stick, tarOf(source, song), notes)
  await add(stick, tarOf(source, song), notes)
  t.same(readdirSync(stick).sort(), ['.meta', 'SONG.TXT', 'song 2.txt', 'song 3.txt'])
  t.equal(readFileSync(join(stick, 'SONG.TXT'), 'utf8'), 'mine')
  t.same(readdirSync(join(stick, '.meta')).sort(), [
    'song 2.txt.json',
    'song 2.txt.png',
    'song 3.txt.json',
    'song 3.txt.png',
  ])
  t.match(notes, [/song\.txt is on the stick already.*song 2\.txt/, /song 3\.txt/])
  // A companion that was left behind must not be taken for the new file's.
  writeFileSync(join(stick, '.meta/lone.json'), 'old')
  await add(stick, tarOf(source, { lone: 'new' }))
  t.same(existsSync(join(stick, 'lone 2')), true)
})

t.test('what was not announced is refused, and nothing of it is added', async (t) => {
  const { stick, source } = places(t)
  for (const files of [
    { ...song, '.hidden': 'x' },
    { ...song, '.meta/other.json': '{}' },
    { ...song, '.meta/song.txt.exe': 'x' },
    { ...song, 'folder/file': 'x' },
    { ...song, '.meta/deep/song.txt.json': 'x' },
  ]) {
    await t.rejects(add(stick, tarOf(source, files)), { code: 'REFUSED' }, Object.keys(files).join(' '))
    t.same(readdirSync(stick), [])
  }
  tarOf(source, song)
  symlinkSync('/etc/passwd', join(source, 'link'))
  await t.rejects(add(stick, packed(source)), { code: 'REFUSED' }, 'a link')
  rmSync(join(source, 'link'))
  for (const pattern of [
    '../*.json',
    '/etc/*.json',
    'meta',
    '.meta/*.json/..',
    '.meta/*',
    'a/b/*.json',
    '.././*.x',
  ])
    await t.rejects(add(stick, packed(source), [], [pattern]), { code: 'REFUSED' }, pattern)
  await t.rejects(receiver(new Set())({ to: stick, form: 'additions', companions }, packed(source)), {
    code: 'REFUSED',
  })
  t.same(readdirSync(stick), [])
})

t.test('no link on the stick leads a file off it, and what is no directory is refused', async (t) => {
  const { stick, source } = places(t)
  const outside = join(dirname(stick), 'outside')
  mkdirSync(outside)
  symlinkSync(outside, join(stick, '.meta'))
  await t.rejects(add(stick, tarOf(source, song)), {
    code: 'NOT_WRITABLE',
    message: /\.meta is not a directory/,
  })
  t.same(readdirSync(outside), [])
  t.same(readdirSync(stick), ['.meta'])
  for (const to of [join(stick, 'nowhere'), join(source, 'song.txt')])
    await t.rejects(add(to, packed(source)), { code: 'NOT_WRITABLE', hint: /where the stick is mounted/ })
})

t.test('content that breaks off, and a stick that is full, leave nothing', async (t) => {
  const { stick, source } = places(t)
  writeFileSync(join(stick, 'mine'), 'mine')
  async function* broken() {
    yield* tarOf(source, song)
    throw new Error('the server has gone')
  }
  await t.rejects(add(stick, broken()), { message: 'the server has gone' })
  t.same(readdirSync(stick), ['mine'])
})

t.test('a stick that is full gets nothing', async (t) => {
  const { stick, source } = places(t)
  if (spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'tmpfs', stick]).status !== 0)
    return lacks(t, 'needs a mounted tmpfs', 'this user cannot mount one')
  try {
    await t.rejects(add(stick, tarOf(source, { ...song, large: 'x'.repeat(300_000) })), {
      code: 'NO_SPACE',
      message: /no room on .*nothing was added/,
    })
    t.same(readdirSync(stick), [])
    await add(stick, tarOf(source, song))
    t.same(readdirSync(stick).sort(), ['.meta', 'song.txt'])
  } finally {
    execFileSync('umount', [stick])
  }
})

t.test('a free name differs from all others in more than its case, and keeps its ending', async (t) => {
  const name = fc.stringMatching(/^[aAbB]{1,2}(\.[tT]x)?$/)
  fc.assert(
    fc.property(fc.array(name, { maxLength: 40 }), (wanted) => {
      const taken = new Set<string>()
      for (const one of wanted) {
        const found = freeName(one, (candidate) => !taken.has(foldedName(candidate)))
        if (taken.has(foldedName(found)) || !found.endsWith(/\.[tT]x$/.exec(one)?.[0] ?? '')) return false
        taken.add(foldedName(found))
      }
      return true
    }),
  )
  t.equal(
    foldedName('A\u0301.TXT'),
    foldedName('á.txt'),
    'a letter with its accent is one, however it is written',
  )
  t.throws(() => freeName('a', () => false), { code: 'REFUSED' })
})
