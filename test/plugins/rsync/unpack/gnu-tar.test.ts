import { spawnSync } from 'node:child_process'
import {
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  type Stats,
  writeFileSync,
} from 'node:fs'
import { lstat, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import t from 'tap'
import { RequestError } from '../../../../core/errors.js'
import { type Kind, modeOf, type Ownership, unnamed } from '../../../../plugins/rsync/unpack/entry.js'
import { lacks } from '../../../support/needs.js'
import { runs } from '../../../support/rounds.js'
import { anyEntries } from '../../../support/rsync/arbitrary-tar.js'
import { type Entry, tarOf } from '../../../support/rsync/handmade-tar.js'
import { type Filtered, filtered } from '../../../support/rsync/tar-filter.js'

t.setTimeout(300_000)

t.test('what GNU tar packs is read as it is on the disk', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'sugar-tar-'))
  t.teardown(() => rm(folder, { recursive: true, force: true }))
  const part = fc.oneof(
    fc.stringMatching(/^[a-z]{1,12}$/),
    fc.stringMatching(/^[a-z]{90,130}$/),
    fc.constantFrom('two words', 'new\nline', 'qu"o\'te', 'back\\slash', 'ünïcode', '-dash', '#', '%stat'),
  )
  const tree = fc.dictionary(
    fc.array(part, { minLength: 1, maxLength: 3 }).map((parts) => parts.join('/')),
    fc.record({
      mode: fc.integer({ min: 0o400, max: 0o777 }),
      seconds: fc.integer({ min: -(2 ** 31), max: 2 ** 33 }),
      content: fc.string({ maxLength: 1200 }),
      isLink: fc.boolean(),
    }),
    { maxKeys: 6, minKeys: 1 },
  )
  let round = 0
  await fc.assert(
    fc.asyncProperty(tree, fc.constantFrom('gnu', 'posix', 'ustar'), async (given, format) => {
      round += 1
      const top = join(folder, `${round}`)
      await mkdir(top)
      const made = new Map<string, { content: string; isLink: boolean }>()
      for (const [path, { content, isLink, mode, seconds }] of Object.entries(given)) {
        if (
          [...made.keys()].some((other) => `${path}/`.startsWith(`${other}/`) || other.startsWith(`${path}/`))
        )
          continue
        await mkdir(join(top, path, '..'), { recursive: true })
        const target = content.replaceAll('\0', '').slice(0, 90) || 'x'
        if (isLink) await symlink(target, join(top, path))
        else {
          await writeFile(join(top, path), content, { mode })
          spawnSync('touch', ['-d', `@${seconds}`, '--', join(top, path)])
        }
        made.set(path, { content: isLink ? target : content, isLink })
      }
      const { stdout, status: packed } = spawnSync(
        'tar',
        [`--format=${format}`, '-C', top, '-cf', '-', '.'],
        {
          maxBuffer: 1e8,
        },
      )
      // It may have left out everything, as files of before 1970.
      if (packed !== 0 && format === 'ustar') return true
      const { out, owned } = filtered([stdout])
      const unpacked = join(folder, `${round}-out`)
      await mkdir(unpacked)
      const { status } = spawnSync('tar', ['-xpf', '-', '-C', unpacked], { input: out })
      if (status !== 0) return false
      for (const [path, { content, isLink }] of made) {
        const is = await lstat(join(top, path))
        const one = owned.get(Buffer.from(path).toString('latin1'))
        // POSIX's oldest format has no room for some names and times, and tar leaves out what it cannot say.
        if (one === undefined && format === 'ustar') continue
        if (one === undefined || modeOf(one) !== is.mode || one.uid !== is.uid || one.gid !== is.gid)
          return false
        const copy = await lstat(join(unpacked, path))
        const isTimed = Math.floor(copy.mtimeMs / 1000) === Math.floor(is.mtimeMs / 1000)
        if (!copy.isFile() || copy.size !== Buffer.byteLength(content) || !(isTimed || format === 'ustar'))
          return false
        if (!isLink && copy.size !== is.size) return false
      }
      return true
    }),
    // Each run starts programs: making a counterexample smaller would take longer than the test may.
    { ...runs(40), endOnFailure: true },
  )
})

/** What an entry is, on a line. @param names all that it has */
type Look = (names: readonly string[], is: Stats, file: Buffer) => string

interface Found {
  readonly name: string
  readonly file: Buffer
  readonly is: Stats
}

/** Everything below a directory: names are one character a byte, and in order. */
function* below(top: string, within = ''): Generator<Found> {
  const pathOf = (name: string) => Buffer.concat([Buffer.from(`${top}/`), Buffer.from(name, 'latin1')])
  for (const one of readdirSync(pathOf(within), { encoding: 'latin1' }).sort()) {
    const name = within + one
    const found = { name, file: pathOf(name), is: lstatSync(pathOf(name)) }
    yield found
    if (found.is.isDirectory()) yield* below(top, `${name}/`)
  }
}

function looksOf(top: string, look: Look): string[] {
  const found = [...below(top)]
  return found.map(({ file, is }) => {
    const names = found.filter((other) => other.is.ino === is.ino).map(({ name }) => name)
    return `${JSON.stringify(names)} ${look(names, is, file)}`
  })
}

const textOf = ({ kind, mode, uid, gid, major, minor }: Ownership, when: number | 'now', content: string) =>
  `${modeOf({ kind, mode }).toString(8)} ${uid}:${gid} ${major},${minor} ${when} ${content}`

const secondsOf = ({ mtimeMs }: Stats): number => Math.floor(mtimeMs) / 1000

const kindOf = (is: Stats): Kind => {
  if (is.isFile()) return 'file'
  if (is.isDirectory()) return 'directory'
  if (is.isSymbolicLink()) return 'link'
  if (is.isFIFO()) return 'fifo'
  return is.isBlockDevice() ? 'block device' : 'character device'
}

/** A tree as GNU tar makes it that is root and has nobody before it. */
const plainly: Look = (_, is, file) => {
  const { mode, uid, gid, rdev } = is
  const [major, minor] = [(rdev >> 8) & 0xfff, (rdev & 0xff) | ((rdev >> 12) & 0xfff00)]
  const kind = kindOf(is)
  const content =
    kind === 'file' ? readFileSync(file, 'latin1') : kind === 'link' ? readlinkSync(file, 'latin1') : ''
  const owner = { kind, mode: mode & 0o7777, uid, gid, major, minor }
  // A directory that no header names.
  const isNew = kind === 'directory' && Math.abs(is.mtimeMs - Date.now()) < 600_000
  return textOf(owner, isNew ? 'now' : secondsOf(is), content)
}

/** The same, of what comes through the filter: whose it is has been told, what is in it is on the disk. */
const throughFilter = (owned: Filtered['owned']): Look => {
  return (names, is, file) => {
    const isPlain = is.isFile() ? (is.mode & 0o7777) === 0o600 : (is.mode & 0o7777) === 0o700
    const owner = names.map((name) => owned.get(name)).find((one) => one !== undefined)
    if (!isPlain || owner === undefined) return 'is not as it should be'
    const content = is.isFile() ? readFileSync(file, 'latin1') : ''
    return textOf(owner, owner === unnamed ? 'now' : secondsOf(is), content)
  }
}

t.test(
  'whatever a filter lets through is what GNU tar makes of the same bytes, and nothing else is touched',
  async (t) => {
    if (process.geteuid?.() !== 0) {
      lacks(t, 'needs root', 'only root can make devices and files of other users')
      return
    }
    const umask = process.umask(0o022)
    t.teardown(() => process.umask(umask))
    const folder = mkdtempSync(join(tmpdir(), 'sugar-tar-'))
    t.teardown(() => rm(folder, { recursive: true, force: true }))
    const outside = join(folder, 'outside')
    mkdirSync(outside)
    writeFileSync(join(outside, 'secret'), 'the key of the school')
    const look = () =>
      ['.', 'secret'].map((file) => {
        const { ctimeNs, mtimeNs, nlink } = lstatSync(join(outside, file), { bigint: true })
        return { file, ctimeNs, mtimeNs, nlink }
      })
    const before = look()
    /** What tar says when it fails, and what is in the tree then. */
    const unpacked = (input: Buffer, look: Look, ...more: string[]): string[] => {
      const to = mkdtempSync(join(folder, 'tree-'))
      const args = ['-C', to, '-xpf', '-', '--delay-directory-restore', ...more]
      const { status, stderr } = spawnSync('tar', args, {
        input,
        env: { PATH: process.env.PATH, LC_ALL: 'C' },
      })
      const looks = looksOf(to, look)
      rmSync(to, { recursive: true })
      return [status === 0 ? '' : String(stderr), ...looks]
    }
    let taken = 0
    const isSame = (entries: readonly Entry[]) => {
      const bytes = tarOf(...entries)
      let passed: Filtered
      try {
        passed = filtered([bytes])
      } catch (error) {
        return error instanceof RequestError
      }
      taken += 1
      const ours = unpacked(passed.out, throughFilter(passed.owned), '--no-same-owner')
      const theirs = unpacked(bytes, plainly, '--numeric-owner')
      const areSame = JSON.stringify(ours) === JSON.stringify(theirs) && theirs[0] === ''
      if (!areSame) t.comment([...ours, '--- GNU tar:', ...theirs].join('\n'))
      return areSame
    }
    fc.assert(fc.property(anyEntries, isSame), { ...runs(2500), endOnFailure: true })
    t.ok(taken > runs(2500).numRuns / 25, `${taken} were let through`)
    t.same(look(), before)
    t.same(readdirSync(outside), ['secret'])
  },
)
