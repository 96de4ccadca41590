import { spawnSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { appendFileSync, readlinkSync, truncateSync, utimesSync, writeFileSync } from 'node:fs'
import {
  mkdir,
  open as openFile,
  readdir,
  readFile,
  rename,
  rm,
  stat,
  symlink,
  truncate,
  writeFile,
} from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import t from 'tap'
import { RequestError } from '../../core/api.js'
import { limit, namesIn, open, refusal, sha1sum, stickWith } from '../support/core/signed-stick.js'
import { lacks } from '../support/needs.js'
import { temporaryDirectory } from '../support/temporary-directory.js'

const vectors = join(process.cwd(), 'test/vectors/bios-crypto/usb/xs-activation')

t.test('a stick of xs-activation is read file by file, as its manifest names them', async (t) => {
  const expected = {
    std: ['leases.sig'],
    escuela123: ['d-lease.sig', 'd-oats.sig', 'server.pub', 'server.pri'],
  }
  for (const [folder, names] of Object.entries(expected)) {
    const medium = await open(vectors, { folder })
    t.same(medium.names, names)
    t.same(medium.strangers, [])
    for (const name of names) {
      t.same(await medium.read(name, { limit }), await readFile(join(vectors, folder, name)), name)
    }
  }
  t.same((await open(join(vectors, 'std'))).names, ['leases.sig'], 'the directory may be named as one, too')
})

t.test('what lies on a stick without being named is told by name, and cannot be had', async (t) => {
  const stick = await stickWith(t, { 'leases.sig': 'act01' })
  await writeFile(join(stick, 'virus.exe'), 'MZ')
  await writeFile(join(stick, 'manifest.sha1.sig'), 'not looked at')
  await mkdir(join(stick, '.Trash-1000'))
  await symlink('/etc/passwd', join(stick, 'leases.lnk'))
  spawnSync('mkfifo', [join(stick, 'pipe')])
  const medium = await open(stick)
  t.same(medium.strangers, [
    { name: '.Trash-1000', reason: 'manifest.sha1 does not name this directory' },
    { name: 'leases.lnk', reason: 'manifest.sha1 does not name this symbolic link' },
    { name: 'pipe', reason: 'manifest.sha1 does not name this fifo' },
    { name: 'virus.exe', reason: 'manifest.sha1 does not name this file' },
  ])
  for (const name of ['virus.exe', 'manifest.sha1', 'manifest.sha1.sig', '../leases.sig', '', '__proto__']) {
    t.equal(medium.has(name), false)
    const said = `REFUSED: ${name} is not named in ${join(stick, 'manifest.sha1')}`
    t.equal(await refusal(medium.read(name, { limit })), said)
    t.equal(await refusal(medium.copy(name, join(stick, 'copy'), { limit })), said)
  }
  t.equal((await medium.read('leases.sig', { limit })).toString(), 'act01')
})

t.test('names that a stick has written in other letters are found all the same', async (t) => {
  const stick = await stickWith(t, { 'LEASES.SIG': 'act01', 'd-lease.sig': 'del01' })
  const manifest = (await readFile(join(stick, 'manifest.sha1'), 'utf8')).replace('LEASES.SIG', 'leases.sig')
  await rm(join(stick, 'manifest.sha1'))
  await writeFile(join(stick, 'MANIFEST.SHA1'), manifest)
  const medium = await open(stick)
  t.same(medium.names, ['leases.sig', 'd-lease.sig'])
  t.same(medium.strangers, [])
  t.ok(medium.has('Leases.sig'))
  for (const name of ['leases.sig', 'LEASES.SIG', 'Leases.Sig'])
    t.equal((await medium.read(name, { limit })).toString(), 'act01')

  await writeFile(join(stick, 'leases.sig'), 'other')
  const two = await open(stick)
  t.same(
    two.strangers.map(({ name }) => name),
    ['LEASES.SIG'],
    'where there are both, the one that is written alike is meant',
  )
  t.match(await refusal(two.read('leases.sig', { limit })), /^DAMAGED/)
})

t.test('without a directory or a manifest in it nothing is found, and how to make one is said', async (t) => {
  const empty = await temporaryDirectory(t)
  t.equal(await refusal(open(empty)), `NOT_FOUND: there is no manifest.sha1 in ${empty}`)
  const hint = await open(empty).catch(({ hint }: RequestError) => hint)
  t.match(hint, 'make one with sha1sum')
  const missing = `NOT_FOUND: there is no directory ${join(empty, 'xs-activation')}`
  t.equal(await refusal(open(join(empty, 'xs-activation'))), missing)
  t.equal(await refusal(open(empty, { folder: 'xs-activation/schoolserver' })), missing)
})

t.test('what is no file is refused in its place, at once, be it named or the manifest itself', async (t) => {
  const content = 'act01'
  const kinds: [kind: string, make: (path: string) => unknown][] = [
    ['a directory', (path) => mkdir(path)],
    ['a symbolic link', (path) => symlink('/etc/passwd', path)],
    // Opened as a file is, it would wait for a writer for ever.
    ['a fifo', (path) => spawnSync('mkfifo', [path])],
    [
      'a socket or a device',
      (path) => {
        const server = createServer().listen(path)
        t.teardown(() => void server.close())
        return new Promise((resolve) => server.once('listening', resolve))
      },
    ],
  ]
  if (process.getuid?.() === 0) kinds.push(['a device', (path) => spawnSync('mknod', [path, 'c', '1', '5'])])
  else lacks(t, 'a device in place of a file', 'only root makes devices')
  for (const [kind, make] of kinds) {
    const stick = await stickWith(t, { 'leases.sig': content })
    await rm(join(stick, 'leases.sig'))
    await make(join(stick, 'leases.sig'))
    const medium = await open(stick)
    const said = `REFUSED: ${join(stick, 'leases.sig')} is not a file but ${kind}`
    t.equal(await refusal(medium.read('leases.sig', { limit })), said)
    t.equal(await refusal(medium.copy('leases.sig', join(stick, 'copy'), { limit })), said)

    await rm(join(stick, 'manifest.sha1'))
    await make(join(stick, 'manifest.sha1'))
    t.equal(await refusal(open(stick)), `REFUSED: ${join(stick, 'manifest.sha1')} is not a file but ${kind}`)
  }
})

t.test('a file may be as large as its reader says, and a manifest a megabyte', async (t) => {
  const stick = await stickWith(t, { 'leases.sig': 'act01', none: '' })
  const medium = await open(stick)
  t.equal((await medium.read('leases.sig', { limit: 5 })).toString(), 'act01')
  t.equal((await medium.read('none', { limit: 0 })).length, 0)
  const path = join(stick, 'leases.sig')
  const said = `REQUEST_TOO_LARGE: ${path} has 5 bytes, and may have 4`
  t.equal(await refusal(medium.read('leases.sig', { limit: 4 })), said)
  t.equal(await refusal(medium.copy('leases.sig', join(stick, 'copy'), { limit: 4 })), said)
  // Nothing is set aside for what a file only pretends to have.
  await truncate(path, 2 ** 40)
  t.match(await refusal(medium.read('leases.sig', { limit })), /^REQUEST_TOO_LARGE/)

  await writeFile(join(stick, 'manifest.sha1'), '\n'.repeat(1024 * 1024))
  t.same((await open(stick)).names, [])
  await writeFile(join(stick, 'manifest.sha1'), '\n'.repeat(1024 * 1024 + 1))
  t.match(await refusal(open(stick)), /^REQUEST_TOO_LARGE: .*manifest\.sha1 has 1048577 bytes/)
})

t.test('a stick with ever more names is given up', async (t) => {
  const stick = await stickWith(t, {})
  for (let number = 0; number < 10_000; number += 1) writeFileSync(join(stick, String(number)), '')
  t.equal(await refusal(open(stick)), `REQUEST_TOO_LARGE: ${stick} holds more than 10000 names`)
})

t.test('another sum, a file that is gone, and a wrong line are refused by name', async (t) => {
  const stick = await stickWith(t, { 'leases.sig': 'act01', 'd-oats.sig': 'del01' })
  const medium = await open(stick)
  await writeFile(join(stick, 'leases.sig'), 'act02')
  const sums = ['act02', 'act01'].map((content) => {
    writeFileSync(join(stick, 'sum'), content)
    return sha1sum(stick, ['sum']).slice(0, 40)
  })
  const said = `DAMAGED: ${join(stick, 'leases.sig')} has the sum ${sums[0]}, and should have ${sums[1]}`
  t.equal(await refusal(medium.read('leases.sig', { limit })), said)
  const copy = join(await temporaryDirectory(t), 'copy')
  t.equal(await refusal(medium.copy('leases.sig', copy, { limit })), said)
  await rm(join(stick, 'd-oats.sig'))
  t.equal(
    await refusal(medium.read('d-oats.sig', { limit })),
    `NOT_FOUND: there is no file ${join(stick, 'd-oats.sig')}`,
  )
  appendFileSync(join(stick, 'manifest.sha1'), `${sums[0]}  ../../etc/passwd\n`)
  t.match(await refusal(open(stick)), /^REQUEST_INVALID: .*manifest\.sha1, line 3: "\.\.\/\.\.\/etc\/passwd"/)
})

t.test('no link leads from a stick to anywhere else', async (t) => {
  const elsewhere = await stickWith(t, { 'leases.sig': 'elsewhere', 'school/leases.sig': 'below' })
  const stick = await temporaryDirectory(t)
  await symlink(elsewhere, join(stick, 'xs-activation'))
  const link = `REFUSED: ${join(stick, 'xs-activation')} is not a directory but a symbolic link`
  t.equal(await refusal(open(join(stick, 'xs-activation'))), link)
  t.equal(await refusal(open(`${stick}/xs-activation/`)), link, 'nor with a slash behind it')
  t.equal(await refusal(open(stick, { folder: 'xs-activation' })), link)
  t.equal(await refusal(open(stick, { folder: 'xs-activation/school' })), link, 'not even half-way')
  for (const folder of ['../x', '/etc', 'a//b', 'xs-activation/..', './x', 'a\0b']) {
    t.equal(await refusal(open(stick, { folder })), `REFUSED: ${folder} names no directory on a stick`)
  }
  await writeFile(join(stick, 'file'), '')
  t.equal(
    await refusal(open(stick, { folder: 'file' })),
    `REFUSED: ${join(stick, 'file')} is not a directory but a file`,
  )
  const mounted = join(await temporaryDirectory(t), 'usb')
  await symlink(vectors, mounted)
  t.same(
    (await open(mounted, { folder: 'std/' })).names,
    ['leases.sig'],
    'what leads to the stick may be one',
  )
})

t.test('a directory that a link has replaced since it was opened is not followed', async (t) => {
  const stick = await temporaryDirectory(t)
  const other = await stickWith(t, { 'leases.sig': 'act01' })
  await rename(await stickWith(t, { 'leases.sig': 'act01' }), join(stick, 'xs-activation'))
  const medium = await open(stick, { folder: 'xs-activation' })
  await rm(join(stick, 'xs-activation'), { recursive: true })
  await symlink(other, join(stick, 'xs-activation'))
  t.match(await refusal(medium.read('leases.sig', { limit })), 'is not a directory but a symbolic link')
})

t.test('a build is copied with its sum checked, for this user alone, and told how far it is', async (t) => {
  const build = randomBytes(3_000_000)
  const stick = await stickWith(t, { 'os.img': build })
  const folder = await temporaryDirectory(t)
  const to = join(folder, 'os.img')
  await writeFile(to, 'the build before', { mode: 0o644 })
  const medium = await open(stick)
  const told: number[] = []
  await medium.copy('os.img', to, {
    limit: build.length,
    progress(done, size) {
      t.equal(size, build.length)
      told.push(done)
    },
  })
  t.ok((await readFile(to)).equals(build))
  t.equal((await stat(to)).mode & 0o777, 0o600)
  t.same(
    told,
    told.toSorted((a, b) => a - b),
  )
  t.ok(told.length > 5)
  t.equal(told.at(-1), build.length)
  t.same(await namesIn(folder), ['os.img'], 'nothing is left beside it')
})

t.test('until the copy is whole, what was there stays; of a copy that fails nothing is left', async (t) => {
  const build = randomBytes(1_000_000)
  const folder = await temporaryDirectory(t)
  const to = join(folder, 'os.img')
  await writeFile(to, 'the build before')
  const disturb: [what: string, spoil: (path: string) => void][] = [
    ['is written on', (path) => appendFileSync(path, 'more')],
    ['is cut', (path) => truncateSync(path, 300_000)],
    ['is written again', (path) => writeFileSync(path, build)],
  ]
  for (const [what, spoil] of disturb) {
    const stick = await stickWith(t, { 'os.img': build })
    // Longer ago than the clock of a file system is coarse.
    utimesSync(join(stick, 'os.img'), 0, 0)
    let isSpoilt = false
    const copy = (await open(stick)).copy('os.img', to, {
      limit: 2_000_000,
      progress() {
        if (!isSpoilt) spoil(join(stick, 'os.img'))
        isSpoilt = true
      },
    })
    const said = `DAMAGED: ${join(stick, 'os.img')} changed while it was read`
    t.equal(await refusal(copy), said, `a file that ${what} meanwhile`)
  }
  const stick = await stickWith(t, { 'os.img': build })
  const medium = await open(stick)
  const stopped = medium.copy('os.img', to, {
    limit: 2_000_000,
    progress() {
      throw new RequestError('REFUSED', 'the caller has enough')
    },
  })
  t.equal(await refusal(stopped), 'REFUSED: the caller has enough')
  t.equal(await readFile(to, 'utf8'), 'the build before')
  t.same(await namesIn(folder), ['os.img'])
  const nowhere = join(folder, 'missing', 'os.img')
  t.equal(
    await refusal(medium.copy('os.img', nowhere, { limit: 2_000_000 })),
    `NOT_WRITABLE: ${nowhere} cannot be written (ENOENT)`,
  )
})

t.test('a copy to a full disk leaves the disk as it was, and says so', async (t) => {
  const disk = await temporaryDirectory(t)
  if (process.getuid?.() !== 0) return lacks(t, 'a full disk', 'only root mounts one')
  const { status } = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=512k', 'tmpfs', disk])
  if (status !== 0) return lacks(t, 'a full disk', 'no tmpfs can be mounted here')
  try {
    const medium = await open(await stickWith(t, { 'os.img': randomBytes(1_000_000) }))
    const to = join(disk, 'os.img')
    t.equal(
      await refusal(medium.copy('os.img', to, { limit: 2_000_000 })),
      `NO_SPACE: there is no room to write ${to} (ENOSPC)`,
    )
    t.same(await namesIn(disk), [])
  } finally {
    spawnSync('umount', [disk])
  }
})

t.test('who gives up is not kept waiting by the rest of a file', async (t) => {
  const stick = await stickWith(t, { 'os.img': randomBytes(1_000_000) })
  const giveUp = new AbortController()
  const medium = await open(stick, { signal: giveUp.signal })
  const folder = await temporaryDirectory(t)
  const told: number[] = []
  const copy = medium.copy('os.img', join(folder, 'os.img'), {
    limit: 2_000_000,
    progress(done) {
      told.push(done)
      giveUp.abort()
    },
  })
  await t.rejects(copy, { name: 'AbortError' })
  t.equal(told.length, 1)
  t.same(await namesIn(folder), [])
  await t.rejects(medium.read('os.img', { limit: 2_000_000 }), { name: 'AbortError' })
  await t.rejects(open(stick, { signal: giveUp.signal }), { name: 'AbortError' })
})

t.test('a stick can be taken out at any time: nothing of it is kept open', async (t) => {
  const stick = await stickWith(t, { 'xs-activation/leases.sig': 'act01' })
  await rename(join(stick, 'manifest.sha1'), join(stick, 'xs-activation', 'manifest.sha1'))
  const broken = await open(stick, { folder: 'xs-activation' }).catch((error: unknown) => error)
  t.match(broken, { code: 'REQUEST_INVALID' })
  await writeFile(
    join(stick, 'xs-activation', 'manifest.sha1'),
    sha1sum(join(stick, 'xs-activation'), ['leases.sig']),
  )
  const medium = await open(stick, { folder: 'xs-activation' })
  await medium.read('leases.sig', { limit })
  await refusal(medium.read('leases.sig', { limit: 1 }))
  const held = (await readdir('/proc/self/fd')).filter((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`).startsWith(stick)
    } catch {
      return false
    }
  })
  t.same(held, [])
  await rm(stick, { recursive: true })
  t.equal(
    await refusal(medium.read('leases.sig', { limit })),
    `NOT_FOUND: there is no directory ${stick}`,
    'and what is asked for then is not found',
  )
})

t.test('a name that is not UTF-8 is a stranger like another', async (t) => {
  const stick = await stickWith(t, { 'leases.sig': 'act01' })
  const path = Buffer.concat([Buffer.from(`${stick}/`), Buffer.from([0xf1, 0x61])])
  await (await openFile(path, 'w')).close()
  t.same(
    (await open(stick)).strangers.map(({ name }) => name),
    ['\ufffda'],
  )
})
