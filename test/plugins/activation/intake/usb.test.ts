import { spawnSync } from 'node:child_process'
import { appendFile, cp, mkdir, readFile, rm, symlink, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { SystemError } from '../../../../core/api.js'
import { boot, type TestHouse } from '../../../../core/testing.js'
import activation from '../../../../plugins/activation/plugin.js'
import { Roll } from '../../../../plugins/activation/roll/roll.js'
import keyring from '../../../../plugins/keyring/plugin.js'
import {
  chainedLease,
  DeskKeyring,
  inDays,
  laptop,
  leaseOf,
  rogue,
  school,
} from '../../../support/activation/activation-school.js'
import { bringFolder, listed, run, type Said } from '../../../support/activation/import-files.js'
import { cli, freePorts } from '../../../support/core/server-process.js'
import { sha1sum } from '../../../support/core/signed-stick.js'
import { needs } from '../../../support/needs.js'
import { temporaryDirectory } from '../../../support/temporary-directory.js'

t.setTimeout(300_000)

const vectors = join(process.cwd(), 'test', 'vectors', 'bios-crypto')
const home = 'xs-activation'
const [one, two] = [laptop(1), laptop(2)]
const lease = (days: number, { serial, uuid } = one, pair?: typeof rogue) =>
  `${leaseOf(serial, uuid, inDays(days), pair)}\n`

/** A stick with files in some of its directories, and a manifest in each of those. */
async function stick(t: Test, folders: Record<string, Record<string, string | Buffer>>): Promise<string> {
  const top = await temporaryDirectory(t)
  for (const [path, files] of Object.entries(folders)) {
    const place = join(top, path)
    await mkdir(place, { recursive: true })
    for (const [name, content] of Object.entries(files)) await writeFile(join(place, name), content)
    await writeFile(join(place, 'manifest.sha1'), sha1sum(place, Object.keys(files)))
  }
  return top
}

/** Loads a stick, and sees that one line is said of it. */
async function load(t: Test, house: TestHouse, mountpoint: string): Promise<Said> {
  const said = await run(house, 'usb', { mountpoint })
  t.match(said.out, /^[^\n]+\n$/, 'one line says how it went')
  return said
}

/** A school with the real keyring, that knows the keys of the authority of the vectors. */
async function realSchool(t: Test, settings: Record<string, string>): Promise<TestHouse> {
  const house = await boot({ plugins: [keyring, activation], settings })
  t.teardown(() => house.dispose())
  for (const role of ['lease', 'oats']) {
    const path = `${role}.public`
    const files = [{ path, bytes: await readFile(join(vectors, 'keys', path)) }]
    t.match(await house.command(['keyring', 'import'], { args: { file: path }, options: { role }, files }), {
      ended: { exit: 0 },
    })
  }
  return house
}

t.test('the stick of an authority makes a school server sign', async (t) => {
  const house = await realSchool(t, { hostname: 'escuela123' })
  const top = await temporaryDirectory(t)
  await cp(join(vectors, 'usb'), top, { recursive: true })
  t.match(await load(t, house, top), {
    exit: 0,
    out: "the server's key and 5 delegations taken; you can take the stick out\n",
    err: /^passed over: xs-activation\/std is for another server, and this one is escuela123$/m,
  })
  t.match(await run(house, 'export', { what: 'leases' }, { options: { laptops: 'SHC94700123' } }), {
    exit: 0,
    out: /^act01: SHC94700123 K \d{8}T\d{6}Z sig02: [^\n]*\n$/,
  })
  t.match(await load(t, house, top), { exit: 0, out: 'nothing is new on it; you can take the stick out\n' })
})

t.test('what lies in xs-activation itself is for every server, and what lies below for one', async (t) => {
  const { house } = await school(t, { keyring: new DeskKeyring(), settings: { hostname: 'escuela123' } })
  const top = await stick(t, {
    [home]: {
      'leases.sig': lease(5),
      'laptops.csv': `${one.serial},${one.uuid}\n${two.serial},${two.uuid}\n`,
    },
    [`${home}/escuela123`]: { 'leases.sig': lease(6, two), 'stolen.list': `${laptop(9).serial}\n` },
    [`${home}/escuela7`]: { 'leases.sig': lease(99) },
  })
  t.match(await load(t, house, top), {
    exit: 0,
    out: '2 laptops, 2 leases and 1 stolen laptop taken; you can take the stick out\n',
    err: /passed over: xs-activation\/escuela7 is for another server/,
  })
  t.equal((await listed(house)).get(laptop(9).serial)?.stolen, true)
})

t.test('what is refused is said in the line, and does not keep out the rest', async (t) => {
  const { house } = await school(t, { keyring: new DeskKeyring() })
  const list = `${one.serial},${one.uuid}\n${two.serial},${two.uuid}\n`
  const mixed = await stick(t, {
    [home]: { 'a.csv': list, 'leases.sig': lease(5) + lease(-1, two) + lease(5, two, rogue) },
  })
  const { out, err, exit } = await load(t, house, mixed)
  t.equal(exit, 65)
  t.match(
    out,
    new RegExp(
      `^2 laptops and 1 lease taken, but not all \\(xs-activation/leases.sig, line 2: ${two.serial}: ended at \\S+, and 1 more\\); you can take the stick out\n$`,
    ),
  )
  t.match(err, `xs-activation/leases.sig: line 3: ${two.serial}: is signed by`)
  const bad = await stick(t, { [home]: { 'leases.sig': lease(-1) } })
  t.match(await load(t, house, bad), {
    exit: 65,
    out: /^nothing was taken: xs-activation\/leases\.sig, line 1: \S+: ended at \S+\n$/,
  })
  const changed = await stick(t, { [home]: { 'leases.sig': lease(60) } })
  await writeFile(join(changed, home, 'leases.sig'), lease(61))
  t.match(await load(t, house, changed), {
    exit: 65,
    out: /^nothing was taken: xs-activation\/leases\.sig: .* sum /,
  })
  t.notMatch((await load(t, house, changed)).out, changed, 'where it is mounted is not told')
})

t.test('a stick without anything for this server says so, and what to do', async (t) => {
  const { house } = await school(t, { settings: { hostname: 'escuela123' } })
  t.match(await load(t, house, await temporaryDirectory(t)), {
    exit: 66,
    out: 'nothing was taken: there is no directory xs-activation\n',
    err: /manifest\.sha1/,
  })
  t.match(await load(t, house, join(await temporaryDirectory(t), 'gone')), { exit: 66 })
  t.match(await load(t, house, await stick(t, { [`${home}/escuela7`]: {} })), {
    exit: 66,
    out: 'nothing was taken: xs-activation holds only what is for other servers\n',
  })
  const bare = await stick(t, { [home]: { 'leases.sig': lease(5) } })
  await rm(join(bare, home, 'manifest.sha1'))
  t.match(await load(t, house, bare), {
    exit: 65,
    out: /^nothing was taken: xs-activation: .*manifest\.sha1/,
  })
})

t.test(
  'a stick is read whatever case its names have, and a manifest that names nothing is said',
  async (t) => {
    const { house } = await school(t, { settings: { hostname: 'Escuela123' } })
    const top = await stick(t, {
      [home]: { 'LEASES.SIG': lease(5) },
      [`${home}/ESCUELA123`]: { 'Stolen.List': `${two.serial}\n` },
    })
    t.match(await load(t, house, top), { exit: 0, out: /^1 lease and 1 stolen laptop taken/ })
    t.match(await load(t, house, await stick(t, { [home]: {} })), {
      exit: 66,
      out: 'nothing was taken: its manifest.sha1 names no file\n',
    })
  },
)

t.test('files of a gigabyte, and of nothing but blank lines, keep out nothing but themselves', async (t) => {
  const { house } = await school(t)
  const top = await stick(t, { [home]: { 'a.csv': '\n'.repeat(600_000), 'leases.sig': lease(5) } })
  await writeFile(join(top, home, 'laptops.dat'), '')
  await truncate(join(top, home, 'laptops.dat'), 2 ** 30)
  await appendFile(join(top, home, 'manifest.sha1'), `${'0'.repeat(40)}  laptops.dat\n`)
  const { exit, out, err } = await load(t, house, top)
  t.equal(exit, 65)
  t.match(out, /^1 lease taken, but not all/)
  t.match(err, /laptops\.dat: refused: laptops\.dat has 1073741824 bytes, and may have 67108864/)
  t.match(err, /a\.csv: refused: the file has more than 500000 lines/)
})

t.test('links on a stick lead nowhere, and neither does a manifest', async (t) => {
  const { house } = await school(t)
  const secret = await temporaryDirectory(t)
  await mkdir(join(secret, 'escuela7'))
  await writeFile(join(secret, 'leases.sig'), lease(5))
  await writeFile(join(secret, 'manifest.sha1'), sha1sum(secret, ['leases.sig']))
  const linked = await temporaryDirectory(t)
  await symlink(secret, join(linked, home))
  const said = await load(t, house, linked)
  t.match(said, { exit: 77, out: 'nothing was taken: xs-activation is not a directory\n' })
  t.notMatch(said.err, /escuela7/, 'not even its names are told')
  const below = await stick(t, { [home]: { 'stolen.list': '' } })
  await symlink(secret, join(below, home, 'schoolserver'))
  t.match(await load(t, house, below), {
    exit: 65,
    out: /schoolserver: manifest\.sha1 does not name this symbolic link/,
  })
  const file = await stick(t, { [home]: { 'leases.sig': lease(5) } })
  await rm(join(file, home, 'leases.sig'))
  await symlink(join(secret, 'leases.sig'), join(file, home, 'leases.sig'))
  t.match(await load(t, house, file), { exit: 65, out: /is not a file but a symbolic link/ })
  const climbing = await stick(t, { [home]: {} })
  await writeFile(join(climbing, home, 'manifest.sha1'), `${'0'.repeat(40)}  ../leases.sig\n`)
  t.match(await load(t, house, climbing), {
    exit: 65,
    out: /line 1: "\.\.\/leases\.sig" leads to another directory/,
  })
  t.equal((await listed(house)).size, 0)
})

t.test(
  "what the manifest does not name is refused by name, and a system's own files are not looked at",
  async (t) => {
    const { house } = await school(t)
    const top = await stick(t, { [home]: { 'leases.sig': lease(5) } })
    await writeFile(join(top, home, '._leases.sig'), 'x')
    t.match(await load(t, house, top), { exit: 0, out: '1 lease taken; you can take the stick out\n' })
    await writeFile(join(top, home, 'more.sig'), lease(50))
    t.match(await load(t, house, top), {
      exit: 65,
      out: /^nothing was taken: xs-activation\/more\.sig: manifest\.sha1 does not name this file\n$/,
    })
  },
)

t.test('with security on, a stick must be signed by a key that is known', async (t) => {
  if (!needs(t, 'gpg', 'gpg') || !needs(t, 'gpgv', 'gpgv')) return
  const gpg = await temporaryDirectory(t)
  const call = (...args: string[]) => {
    const { status, stderr } = spawnSync('gpg', [
      '--homedir',
      gpg,
      '--batch',
      '--yes',
      '--passphrase',
      '',
      ...args,
    ])
    if (status !== 0) throw new Error(String(stderr))
  }
  t.teardown(() => spawnSync('gpgconf', ['--homedir', gpg, '--kill', 'all']))
  for (const name of ['ana', 'bob']) call('--quick-generate-key', name, 'ed25519', 'sign')
  const root = await temporaryDirectory(t)
  call('--output', join(root, 'trusted.gpg'), '--export', 'ana')
  const { house } = await school(t, { root, settings: { security: 'yes' } })
  const top = await stick(t, { [home]: { 'leases.sig': lease(5) } })
  const manifest = join(top, home, 'manifest.sha1')
  t.match(
    await load(t, house, top),
    { exit: 65, out: /^nothing was taken: xs-activation: .*manifest\.sha1\.sig/ },
    'not signed',
  )
  call('--local-user', 'bob', '--output', `${manifest}.sig`, '--detach-sign', manifest)
  t.match(await load(t, house, top), {
    exit: 65,
    out: /^nothing was taken: xs-activation: manifest\.sha1\.sig is by a key that is not among the known ones/,
  })
  call('--local-user', 'ana', '--output', `${manifest}.sig`, '--detach-sign', manifest)
  t.match(await load(t, house, top), { exit: 0, out: '1 lease taken; you can take the stick out\n' })
})

t.test('when the disk takes nothing more, the line says so, and nothing was taken', async (t) => {
  const disk = join(await temporaryDirectory(t), 'disk')
  await mkdir(disk, { mode: 0o700 })
  const { status } = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=1m,mode=700', 'tmpfs', disk])
  if (status !== 0) {
    t.pass('needs a mounted tmpfs', { skip: 'this user cannot mount one' })
    return
  }
  t.teardown(() => void spawnSync('umount', ['--lazy', disk]))
  const { house } = await school(t, { root: disk })
  const many = Array.from(
    { length: 20_000 },
    (_, n) => `Escuela ${n},${laptop(n).serial},${laptop(n).uuid}\n`,
  ).join('')
  const top = await stick(t, { [home]: { 'laptops.csv': many, 'stolen.list': `${one.serial}\n` } })
  t.match(await load(t, house, top), { exit: 75, out: /^nothing was taken: .*\(ENOSPC\)\n$/ })
  t.equal((await listed(house)).size, 0)
  const files = { 'laptops.csv': many, 'stolen.list': `${one.serial}\n` }
  t.match(await bringFolder(house, files), { exit: 75, err: /ENOSPC/ })
  t.equal((await listed(house)).size, 0)
  await rm(join(top, home, 'laptops.csv'))
  await writeFile(join(top, home, 'manifest.sha1'), sha1sum(join(top, home), ['stolen.list']))
  t.match(
    await load(t, house, top),
    { exit: 0, out: '1 stolen laptop taken; you can take the stick out\n' },
    'there is room for a little',
  )
})

t.test('a disk that fills up half-way: what was taken before is said', async (t) => {
  const { house } = await school(t)
  const top = await stick(t, { [home]: { 'laptops.csv': `${one.serial}\n`, 'leases.sig': lease(5) } })
  const service = Roll.prototype
  const apply = service.apply
  let calls = 0
  t.intercept(service, 'apply', {
    value(this: Roll, ...args: Parameters<typeof apply>) {
      calls += 1
      if (calls === 1) return apply.apply(this, args)
      return Promise.reject(new SystemError('NO_SPACE', 'there is no room', { hint: 'make room' }))
    },
  })
  t.match(await load(t, house, top), {
    exit: 75,
    out: 'only a part was taken, 1 laptop: there is no room\n',
    err: /make room/,
  })
})

t.test('the unit that loads sticks calls a command that there is', async (t) => {
  const path = join(process.cwd(), 'config', 'systemd', 'sugar-server-usb@.service')
  const unit = await readFile(path, 'utf8')
  const [, line = ''] = /^ExecStart=(.*)$/m.exec(unit) ?? []
  const words = line.replaceAll('%i', 'sdb1').split(' ')
  t.equal(words[0], '/usr/local/bin/sugar-server')
  const top = await stick(t, { [home]: { 'leases.sig': lease(5) } })
  const root = join(await temporaryDirectory(t), 'root')
  const here = new Map([
    ['/var/lib/sugar-server', root],
    ['/run/sugar-server-usb/sdb1', top],
  ])
  const args = words.slice(1).map((word) => here.get(word) ?? word)
  for (const place of here.values()) t.ok(args.includes(place), 'the unit names it')
  const plugins = [...freePorts, '--plugins', 'activation', '--activation-port', '0']
  t.match(await cli(t, [...plugins, ...args]), {
    code: 0,
    out: '1 lease taken; you can take the stick out\n',
  })
})

t.test('a chain that ends before its lease counts until then, on a stick as anywhere', async (t) => {
  const { house } = await school(t, { keyring: new DeskKeyring() })
  const chained = chainedLease(one.serial, one.uuid, inDays(90), inDays(8))
  const top = await stick(t, {
    [home]: { 'a.csv': `${one.serial},${one.uuid}\n`, 'leases.sig': `${chained}\n` },
  })
  t.match(await load(t, house, top), { exit: 0 })
  const until = (await listed(house)).get(one.serial)?.ready.sig02 ?? ''
  t.ok(until < inDays(9) && until > inDays(7), until)
})
