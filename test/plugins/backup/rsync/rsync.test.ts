import { execFileSync, spawnSync } from 'node:child_process'
import {
  chmodSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { remoteShell } from '../../../support/backup/remote-shell.js'
import { needs } from '../../../support/needs.js'

t.setTimeout(300_000)

/** A learner's directory on the server, a Journal on the laptop, and rsync between them. */
async function place(t: Test) {
  const shell = await remoteShell(t)
  const folder = mkdtempSync(join(tmpdir(), 'sugar-rsync-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  const home = join(folder, 'home')
  for (const name of ['tree/datastore-current', 'tree/documents', 'temporary']) {
    mkdirSync(join(home, name), { recursive: true })
  }
  symlinkSync('datastore-current', join(home, 'tree', 'current'))
  const journal = join(folder, 'journal')
  mkdirSync(journal)
  return {
    folder,
    journal,
    tree: join(home, 'tree'),
    log: () => readFileSync(join(home, 'log'), 'utf8'),
    rsync: (...args: string[]) => shell(home, ...args),
  }
}

t.test('names of any bytes, empty files, modes and times go there and come back', async (t) => {
  if (!needs(t, 'rsync', 'rsync')) return
  const { folder, journal, rsync, tree } = await place(t)
  const bytes = (...codes: number[]) => Buffer.concat([Buffer.from(`${journal}/`), Buffer.from(codes)])
  const names = [
    bytes(0xff, 0xfe),
    bytes(0x61, 0x0a, 0x62),
    bytes(0x5c, 0x23, 0x31),
    bytes(0x20, 0x20),
    bytes(0x2d, 0x78),
  ]
  for (const name of names) writeFileSync(name, name)
  writeFileSync(join(journal, 'empty'), '')
  writeFileSync(join(journal, 'x'.repeat(255)), 'long')
  mkdirSync(join(journal, 'deep', 'er'), { recursive: true })
  writeFileSync(join(journal, 'deep', 'er', 'data'), 'data', { mode: 0o444 })
  // rsync lets a directory that it has just made be when only the nanoseconds differ.
  for (const name of ['empty', 'deep/er', 'deep']) utimesSync(join(journal, name), 1, 1)
  chmodSync(join(journal, 'empty'), 0o640)

  const sent = await rsync('-a', '--delete', `${journal}/`, 'server:datastore-current')
  t.equal(sent.status, 0, sent.stderr)
  for (const name of ['datastore-current', 'datastore-current/', 'current', 'current/']) {
    const back = join(folder, 'back')
    const fetched = await rsync('-a', `server:${name}`, `${back}/`)
    t.equal(fetched.status, 0, `${name}: ${fetched.stderr}`)
    const at = name.endsWith('/') ? back : join(back, name)
    t.ok(lstatSync(at).isDirectory(), `${name} comes as a directory`)
    t.equal(spawnSync('diff', ['-r', journal, at], { encoding: 'utf8' }).stdout, '')
    const listed = (top: string) =>
      execFileSync('find', ['.', '-mindepth', '1', '-printf', '%P %m %T@ %y\\0'], { cwd: top })
        .toString('latin1')
        .split('\0')
        .sort()
    t.same(listed(at), listed(journal))
    rmSync(back, { recursive: true })
  }
  const one = await rsync('-a', 'server:current/deep/er/data', `${folder}/`)
  t.equal(one.status, 0, one.stderr)
  t.equal(readFileSync(join(folder, 'data'), 'utf8'), 'data')
  t.equal(lstatSync(join(tree, 'current')).isSymbolicLink(), true)
})

t.test('a push to "current" is one to the datastore, and what is gone is deleted', async (t) => {
  if (!needs(t, 'rsync', 'rsync')) return
  const { journal, rsync, tree, log } = await place(t)
  writeFileSync(join(journal, 'one'), '12345')
  t.equal((await rsync('-rlt', '--delete', `${journal}/`, 'server:current')).status, 0)
  t.same(readdirSync(join(tree, 'datastore-current')), ['one'])
  rmSync(join(journal, 'one'))
  writeFileSync(join(journal, 'two'), '123456789')
  t.equal((await rsync('-rlt', '--delete', `${journal}/`, 'server:current/')).status, 0)
  t.same(readdirSync(join(tree, 'datastore-current')), ['two'])
  t.ok(lstatSync(join(tree, 'current')).isSymbolicLink(), 'the link stays')
  t.match(log(), /\*deleting/)
  t.match(log(), />f\+{7,} 9/)
  t.notMatch(log(), /one|two/, 'names stay out of the log')
})

t.test('a link lies on the server marked, is never followed, and comes back as it was', async (t) => {
  if (!needs(t, 'rsync', 'rsync')) return
  const { folder, journal, rsync, tree } = await place(t)
  const secret = join(folder, 'secret')
  mkdirSync(secret)
  writeFileSync(join(secret, 'of-another'), 'secret')
  symlinkSync('/etc/passwd', join(journal, 'file'))
  symlinkSync(secret, join(journal, 'folder'))
  symlinkSync('../../..', join(journal, 'up'))
  t.equal((await rsync('-a', `${journal}/`, 'server:datastore-current')).status, 0)
  t.equal(readlinkSync(join(tree, 'datastore-current', 'file')), '/rsyncd-munged//etc/passwd')
  for (const name of ['current', 'current/', 'datastore-current']) {
    const back = join(folder, 'back')
    t.equal((await rsync('-a', `server:${name}`, `${back}/`)).status, 0)
    const at = name.endsWith('/') ? back : join(back, name)
    t.equal(readlinkSync(join(at, 'file')), '/etc/passwd')
    t.equal(readlinkSync(join(at, 'folder')), secret)
    t.equal(readlinkSync(join(at, 'up')), '../../..')
    rmSync(back, { recursive: true })
  }
  // Through a link that lies there already, into another's directory.
  rmSync(join(journal, 'folder'))
  mkdirSync(join(journal, 'folder'))
  writeFileSync(join(journal, 'folder', 'planted'), 'planted')
  t.equal((await rsync('-a', `${journal}/`, 'server:datastore-current')).status, 0)
  t.same(readdirSync(secret), ['of-another'])
  t.ok(lstatSync(join(tree, 'datastore-current', 'folder')).isDirectory())
  for (const path of ['current/up/secret', 'current/file']) {
    const fetched = await rsync('-r', `server:${path}`, `${folder}/stolen`)
    t.notMatch(fetched.stdout, /secret|root/)
  }
  t.throws(() => readFileSync(join(folder, 'stolen', 'passwd')))
  t.throws(() => readFileSync(join(folder, 'stolen', 'of-another')))
})

t.test('no device is made, whoever the server runs as, and a mode is not lost', async (t) => {
  if (!needs(t, 'rsync', 'rsync') || !needs(t, 'mkfifo', 'coreutils')) return
  const { journal, rsync, tree } = await place(t)
  execFileSync('mkfifo', [join(journal, 'fifo')])
  const device = spawnSync('mknod', [join(journal, 'null'), 'c', '1', '3']).status === 0
  writeFileSync(join(journal, 'file'), 'file', { mode: 0o600 })
  const sent = await rsync('-a', `${journal}/`, 'server:datastore-current')
  t.equal(sent.status, 0, sent.stderr)
  const there = readdirSync(join(tree, 'datastore-current'), { withFileTypes: true })
  t.notOk(there.some((entry) => entry.isCharacterDevice() || entry.isBlockDevice()))
  t.ok(there.some((entry) => entry.name === 'file' && entry.isFile()))
  t.comment(device ? 'a device was sent' : 'this user cannot make a device to send')
})

t.test('the marker of an old laptop lands in the directory of the learner', async (t) => {
  if (!needs(t, 'rsync', 'rsync')) return
  const { folder, rsync, tree } = await place(t)
  const marker = join(folder, 'marker')
  writeFileSync(marker, '')
  const sent = await rsync(
    '--timeout',
    '10',
    '-T',
    '/tmp',
    marker,
    'server:/var/lib/ds-backup/completion/SHC00000000',
  )
  t.equal(sent.status, 0, sent.stderr)
  t.ok(readdirSync(tree).includes('.completed'))
})

t.test('a refusal reaches the laptop in words', async (t) => {
  if (!needs(t, 'rsync', 'rsync')) return
  const { journal, rsync } = await place(t)
  const refused = await rsync('-a', '--inplace', `${journal}/`, 'server:datastore-current')
  t.not(refused.status, 0)
  t.match(refused.stderr, /sugar-server: the rsync option --inplace is refused/)
})
