import { execFileSync } from 'node:child_process'
import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import t, { type Test } from 'tap'
import { KeptDirectory } from '../../core/lib/kept-directory.js'
import { markerName, parseIdentity, readIdentity } from '../../core/lib/marker.js'
import { runs } from '../support/rounds.js'
import { temporaryDirectory } from '../support/temporary-directory.js'

const works = new KeptDirectory({
  name: 'works-path',
  holds: 'the works',
  option: 'works-path',
  below: 'works',
  trace: 'store/works.db',
})
const others = new KeptDirectory({ name: 'others', holds: 'the others', below: 'works' })

/** A root, and the guard of a directory for a start of the server. */
async function place(t: Test) {
  const beside = await temporaryDirectory(t)
  const root = join(beside, 'root')
  mkdirSync(root, { mode: 0o700 })
  const start = (path = '') => works.guard({ root, 'works-path': path })
  return { beside, root, own: join(root, 'works'), start }
}

t.test('the first start makes the directory in silence, and each one after it knows it', async (t) => {
  const { root, own, start } = await place(t)
  t.equal(await works.look({ get: (name) => (name === 'root' ? root : '') }), undefined)
  t.strictSame(readdirSync(root), [], 'to look writes nothing')
  const first = start()
  t.equal(first.claim(), undefined)
  t.equal(first.path, own)
  t.match(first.id, /^[0-9a-f]{32}$/)
  t.strictSame(readIdentity(join(own, markerName)), readIdentity(join(root, 'directories', 'works-path')))
  const again = start()
  t.equal(again.claim(), undefined)
  t.equal(again.id, first.id)
  t.equal(again.problem(), undefined)
})

t.test(
  'an empty mount point, a missing one and another disk are refused in words; nothing is written',
  async (t) => {
    const { beside, root, own, start } = await place(t)
    t.equal(start().claim(), undefined)
    const away = join(beside, 'away')
    renameSync(own, away)
    const memory = readFileSync(join(root, 'directories', 'works-path'), 'utf8')
    const hint = /mount the disk, then restart.*works-path is wrong.*sugar-server accept-directory works-path/
    const refused = (message: RegExp) => {
      const problem = start().claim()
      t.match(problem, { code: 'WRONG_DIRECTORY', message, hint })
      t.throws(() => start().check(), { code: 'WRONG_DIRECTORY' })
      t.equal(readFileSync(join(root, 'directories', 'works-path'), 'utf8'), memory)
    }
    refused(/the disk with the works is not mounted at .*works: the directory is missing/)
    t.notOk(existsSync(own))
    mkdirSync(own)
    refused(/is not mounted at .*: the directory is empty/)
    mkdirSync(join(own, 'lost+found'))
    refused(/the directory is empty/)
    t.strictSame(readdirSync(own), ['lost+found'])
    writeFileSync(join(own, 'letter'), '')
    refused(/is not the directory with the works: it has no identity/)
    rmSync(own, { recursive: true })
    const other = await place(t)
    t.equal(other.start().claim(), undefined)
    cpSync(other.own, own, { recursive: true })
    refused(/it has another identity/)
    rmSync(own, { recursive: true })
    t.match(start(join(beside, 'elsewhere')).claim(), {
      message: /not mounted at .*elsewhere: the directory is missing; the works were in .*root\/works/,
    })
    t.notOk(existsSync(join(beside, 'elsewhere')))
    renameSync(away, own)
    t.equal(start().claim(), undefined, 'it is back')
  },
)

t.test('it goes away and comes back while the server runs', async (t) => {
  const { beside, own, start } = await place(t)
  const guard = start()
  t.equal(guard.claim(), undefined)
  const away = join(beside, 'away')
  renameSync(own, away)
  mkdirSync(own)
  t.match(guard.problem(), { code: 'WRONG_DIRECTORY', message: /is empty/ })
  rmSync(own, { recursive: true })
  // Copied, it is the same archive on another disk.
  cpSync(away, own, { recursive: true })
  t.equal(guard.problem(), undefined)
  writeFileSync(join(own, markerName), 'rotten')
  t.match(guard.problem(), { message: /a damaged identity/ })
})

t.test('a disk that is mounted elsewhere is the same disk', async (t) => {
  const { beside, root, own, start } = await place(t)
  const { id } = Object.assign(start(), { claimed: start().claim() })
  const moved = join(beside, 'moved')
  renameSync(own, moved)
  t.equal(start(moved).claim(), undefined)
  t.match(readIdentity(join(root, 'directories', 'works-path')), { path: moved })
  t.match(start().claim(), { message: /were in .*moved/ })
  t.equal(id, undefined, 'a guard that was not asked knows nothing')
})

t.test('what an earlier version left is adopted with its content; an emptied one is not', async (t) => {
  const full = await place(t)
  mkdirSync(full.own)
  writeFileSync(join(full.own, 'object'), 'work')
  t.equal(full.start().claim(), undefined)
  t.strictSame(readdirSync(full.own).sort(), [markerName, 'object'])

  const emptied = await place(t)
  mkdirSync(join(emptied.root, 'store'))
  writeFileSync(join(emptied.root, 'store', 'works.db'), '')
  t.equal(emptied.start().problem(), undefined, 'nothing was ever kept')
  writeFileSync(join(emptied.root, 'store', 'works.db'), '{}')
  t.match(emptied.start().claim(), { code: 'WRONG_DIRECTORY', message: /is not mounted/ })
  t.notOk(existsSync(emptied.own))
})

t.test('a new root takes up a directory that has an identity; one of another kind it does not', async (t) => {
  const { root, own, start } = await place(t)
  t.equal(start().claim(), undefined)
  const { id } =
    start().problem() === undefined ? (readIdentity(join(own, markerName)) as { id: string }) : { id: '' }
  rmSync(join(root, 'directories'), { recursive: true })
  const guard = start()
  t.equal(guard.claim(), undefined)
  t.equal(guard.id, id)
  const foreign = others.guard({ root })
  t.match(foreign.claim(), { message: /is the directory of works-path, and cannot be that of others/ })
  t.throws(() => foreign.accept(), { code: 'WRONG_DIRECTORY' })
})

t.test('an operator accepts another place, and the first one again', async (t) => {
  const { beside, own, start } = await place(t)
  const guard = start()
  t.equal(guard.claim(), undefined)
  const away = join(beside, 'away')
  renameSync(own, away)
  t.ok(guard.problem())
  const old = guard.id
  t.match(start().accept(), { before: { path: own, id: old } })
  t.equal(guard.problem(), undefined, 'a server that runs knows it too')
  t.not(guard.id, old)
  renameSync(own, join(beside, 'second'))
  renameSync(away, own)
  t.match(guard.problem(), { message: /another identity/ })
  start().accept()
  t.equal(guard.problem(), undefined)
  t.equal(guard.id, old)
})

t.test('damage of what the root remembers is told, and never taken for a first start', async (t) => {
  const { root, own, start } = await place(t)
  t.equal(start().claim(), undefined)
  const memory = join(root, 'directories', 'works-path')
  for (const text of ['', '{}', 'x'.repeat(10_000), '{"directory":"works-path","id":"1","path":"/"}']) {
    writeFileSync(memory, text)
    t.match(start().claim(), { code: 'WRONG_DIRECTORY', message: /is damaged/ }, text.slice(0, 20))
  }
  start().accept()
  t.equal(start().claim(), undefined)
  rmSync(join(own, markerName))
  symlinkSync('/etc/passwd', join(own, markerName))
  t.match(start().claim(), { message: /a damaged identity/ }, 'a link is no marker')
  start().accept()
  t.equal(start().claim(), undefined)
  t.match(readFileSync('/etc/passwd', 'utf8'), /root/)
})

t.test('a directory that cannot be made is named with its option', async (t) => {
  const { beside, start } = await place(t)
  writeFileSync(join(beside, 'file'), '')
  t.throws(() => start(join(beside, 'file', 'below')).claim(), {
    code: 'NOT_WRITABLE',
    message: /^works-path: /,
  })
})

t.test('another file system over the directory is noticed, and its end too', async (t) => {
  if (process.getuid?.() !== 0) return t.pass('only root may mount')
  const { own, start } = await place(t)
  const guard = start()
  t.equal(guard.claim(), undefined)
  try {
    execFileSync('mount', ['-t', 'tmpfs', 'tmpfs', own], { stdio: 'pipe' })
  } catch {
    return t.pass('this machine does not let root mount')
  }
  try {
    t.match(guard.problem(), { code: 'WRONG_DIRECTORY', message: /is empty/ })
    t.strictSame(readdirSync(own), [])
  } finally {
    execFileSync('umount', [own])
  }
  t.equal(guard.problem(), undefined)
})

t.test('a text is an identity whole and exact, or damaged', async (t) => {
  fc.assert(
    fc.property(
      fc.oneof(
        fc.string(),
        fc.json(),
        fc.anything().map((value) => JSON.stringify(value) ?? ''),
      ),
      (text) => {
        const found = parseIdentity(text)
        return found === 'damaged' || (/^[0-9a-f]{32}$/.test(found.id) && found.path.startsWith('/'))
      },
    ),
  )
  const identity = fc.record({
    directory: fc.stringMatching(/^[a-z][a-z0-9-]{0,20}$/),
    id: fc.stringMatching(/^[0-9a-f]{32}$/),
    path: fc.string().map((path) => `/${path}`),
  })
  fc.assert(
    fc.property(identity, (one) => {
      t.strictSame(parseIdentity(JSON.stringify(one)), { ...one })
    }),
    runs(50),
  )
  t.pass('all of them')
})
