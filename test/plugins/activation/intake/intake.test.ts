import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdir, readdir, readFile, symlink, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { takeLaptops, takeLeases } from '../../../../plugins/activation/intake/taking.js'
import type { Service } from '../../../../plugins/activation/service.js'
import { checkLease, longestLine } from '../../../../plugins/keyring/public.js'
import {
  ask,
  chainedLease,
  DeskKeyring,
  inDays,
  laptop,
  leaseOf,
  log,
  master,
  ready,
  rogue,
  school,
  server,
} from '../../../support/activation/activation-school.js'
import { bring, bringFolder, bundleOf, listed } from '../../../support/activation/import-files.js'
import { cli, freePorts } from '../../../support/core/server-process.js'
import { sha1sum } from '../../../support/core/signed-stick.js'
import { lacks } from '../../../support/needs.js'
import { temporaryDirectory } from '../../../support/temporary-directory.js'

t.setTimeout(300_000)

const [one, two, three] = [laptop(1), laptop(2), laptop(3)]
const lease = ({ serial, uuid }: { serial: string; uuid: string }, days: number, pair?: typeof rogue) =>
  leaseOf(serial, uuid, inDays(days), pair)
const list = [one, two, three].map(({ serial, uuid }) => `${serial},${uuid}\n`).join('')

/** Where a text has an x, or an o where it had one already. */
const bent = (text: string, at: number): string =>
  text.slice(0, at) + (text[at] === '0' ? '1' : '0') + text.slice(at + 1)

t.test(
  'of a file of leases all goes in but the lines that laptops would not take, each with its reason',
  async (t) => {
    const { house } = await school(t, { keyring: new DeskKeyring() })
    t.match(await bring(house, { 'laptops.csv': list }), {
      exit: 0,
      out: 'laptops.csv: 3 taken, 0 unchanged, 0 refused\n',
    })
    const good = lease(one, 30)
    const lines = [
      good,
      '',
      lease(two, -1),
      bent(lease(two, 30), 400),
      lease(two, 30, rogue),
      lease(two, 30).slice(0, 200),
      leaseOf(two.serial, one.uuid, inDays(30)),
      chainedLease(two.serial, two.uuid, inDays(30), inDays(-1)),
      `# ${two.serial}`,
      'x'.repeat(8193),
      lease(three, 10),
    ]
    const { exit, out, err } = await bring(house, { 'leases.sig': `${lines.join('\r\n')}\r\n` })
    t.equal(exit, 65)
    t.equal(out, 'leases.sig: 2 taken, 0 unchanged, 8 refused\n')
    t.strictSame(
      err.split('\n').map((line) => line.replace(/20\d{6}T\d{6}Z/, 'TIME')),
      [
        `leases.sig: line 3: ${two.serial}: ended at TIME`,
        `leases.sig: line 4: ${two.serial}: is not what 6c4dc43e89a1 signed`,
        `leases.sig: line 5: ${two.serial}: is signed by ${rogue.public.id.slice(0, 12)}, which is no trusted key`,
        `leases.sig: line 6: ${two.serial}: has a sig01 that is not "hash key signature"`,
        `leases.sig: line 7: ${two.serial}: is not what 6c4dc43e89a1 signed`,
        `leases.sig: line 8: ${two.serial}: ended at TIME`,
        'leases.sig: line 9: is no "act01: SERIAL K EXPIRY signature"',
        `leases.sig: line 10: is longer than ${longestLine} bytes`,
        '',
      ],
    )
    const known = await listed(house)
    t.strictSame(
      [...known].filter(([, { ready }]) => ready.sig01 !== undefined).map(([serial]) => serial),
      [one.serial, three.serial],
    )
    t.equal(known.get(one.serial)?.ready.sig01, good.split(' ')[3], 'until when it counts')
  },
)

t.test('a bundle is taken like lines, and what stands under a wrong name is refused', async (t) => {
  const { house } = await school(t, { keyring: new DeskKeyring() })
  await bring(house, { 'laptops.csv': list })
  const bundle = bundleOf({
    [one.serial]: `${lease(one, 5)}\n${chainedLease(one.serial, one.uuid, inDays(5), inDays(6))}`,
    [two.serial]: lease(three, 30),
    [three.serial]: lease(three, 30),
  })
  t.match(await bring(house, { 'lease.sig': bundle }), {
    exit: 65,
    out: 'lease.sig: 3 taken, 0 unchanged, 1 refused\n',
    err: `lease.sig: line 3: ${two.serial}: holds a lease of ${three.serial}\n`,
  })
  t.match((await listed(house)).get(one.serial)?.ready, { sig01: /Z$/, sig02: /Z$/ })
  t.match(await bring(house, { 'lease.sig': JSON.stringify([1, { [one.serial]: `${lease(one, 9)}\n` }]) }), {
    exit: 65,
    out: /^lease\.sig: refused: the bundle cannot be read: at \d+: the escape \\n, which laptops do not know/,
  })
})

t.test(
  'of several leases of a laptop the best of each kind stays, and nothing better gives way',
  async (t) => {
    const { house } = await school(t, { keyring: new DeskKeyring() })
    await bring(house, { 'laptops.csv': list })
    const until = async () => (await listed(house)).get(one.serial)?.ready
    const [short, long] = [lease(one, 10), lease(one, 20)]
    t.match(await bring(house, { a: [short, long, short].join('\n') }), {
      exit: 0,
      out: 'a: 1 taken, 2 unchanged, 0 refused\n',
    })
    const best = { sig01: long.split(' ')[3] }
    t.strictSame(await until(), best)
    for (const text of [short, long])
      t.match(await bring(house, { a: text }), { exit: 0, out: 'a: 0 taken, 1 unchanged, 0 refused\n' })
    t.strictSame(await until(), best)
    const chained = chainedLease(one.serial, one.uuid, inDays(90), inDays(8))
    t.match(await bring(house, { a: chained }), { out: 'a: 1 taken, 0 unchanged, 0 refused\n' })
    const both = await until()
    t.equal(both?.sig01, best.sig01, 'for firmware that knows no sig02')
    t.ok((both?.sig02 ?? '9') < `${best.sig01}`, 'a chain counts no longer than its shortest link')
    const longer = lease(one, 30)
    t.match(await bring(house, { a: longer }), { out: 'a: 1 taken, 0 unchanged, 0 refused\n' })
    t.strictSame(await until(), { ...both, sig01: longer.split(' ')[3] })
  },
)

t.test(
  'a lease gives way to a shorter one when it has run out, or its key is no longer trusted',
  async (t) => {
    const keyring = new DeskKeyring()
    const changes = [ready(one.serial, one.uuid, inDays(-1)), ready(two.serial, two.uuid, inDays(90), rogue)]
    const { house } = await school(t, { keyring, changes })
    const [first, second] = [lease(one, 5), lease(two, 5)]
    t.match(await bring(house, { a: `${first}\n${second}\n` }), {
      exit: 0,
      out: 'a: 2 taken, 0 unchanged, 0 refused\n',
    })
    const known = await listed(house)
    t.equal(known.get(one.serial)?.ready.sig01, first.split(' ')[3])
    t.equal(known.get(two.serial)?.ready.sig01, second.split(' ')[3])
  },
)

t.test('what nobody can check is taken, and counted', async (t) => {
  const keyring = new DeskKeyring()
  const { house } = await school(t, { keyring })
  await bring(house, { 'x.csv': `${one.serial},${one.uuid}\n` })
  const file = `${lease(one, 9)}\n${lease(two, 9)}\n`
  t.match(await bring(house, { a: file }), {
    exit: 0,
    out: 'a: 2 taken, 0 unchanged, 0 refused\n',
    err: 'a: 1 taken unchecked: no uuid of the laptop is known\n',
  })
  t.match(
    await bring(house, { a: lease(three, 9, rogue) }),
    { exit: 65 },
    'a strange key is seen all the same',
  )
  const bare = await school(t)
  t.match(await bring(bare.house, { a: file }), {
    exit: 0,
    err: 'a: 2 taken unchecked: no key of the authority is trusted here\n',
  })
  t.match(await bring(bare.house, { b: lease(one, -2) }), { exit: 65 }, 'the time is known to everybody')
  const keyless = new DeskKeyring()
  keyless.known = []
  const { house: other } = await school(t, { keyring: keyless })
  t.match(await bring(other, { a: lease(three, 9) }), { err: /taken unchecked: no key of the authority/ })
})

t.test('a uuid that came with a delegation serves to check a lease', async (t) => {
  const keyring = new DeskKeyring()
  keyring.isMaster = false
  keyring.delegate(one.serial, one.uuid, inDays(100))
  const { house } = await school(t, { keyring })
  t.match(await bring(house, { a: leaseOf(one.serial, two.uuid, inDays(9)) }), {
    exit: 65,
    err: /is not what/,
  })
  t.match(await bring(house, { a: lease(one, 9) }), { exit: 0, err: '' })
})

t.test('a clock that is wrong does not decide which leases have run out: the keyring does', async (t) => {
  const keyring = new DeskKeyring()
  keyring.time = () => new Date(Date.now() - 400 * 86_400_000)
  const { house } = await school(t, { keyring })
  t.match(await bring(house, { a: lease(one, -100) }), { exit: 0, out: /1 taken/ })
})

t.test('no more than fifty refused lines are told, and all are counted', async (t) => {
  const { house } = await school(t)
  const { exit, out, err } = await bring(house, { 'leases.sig': 'act01: owl\n'.repeat(70) })
  t.equal(exit, 65)
  t.equal(out, 'leases.sig: 0 taken, 0 unchanged, 70 refused\n')
  const told = err.trimEnd().split('\n')
  t.equal(told.length, 51)
  t.equal(told.at(-1), 'leases.sig: and 20 more lines are refused')
})

t.test('a list adds to what is known of laptops, and takes nothing away', async (t) => {
  const { house } = await school(t)
  t.match(await bring(house, { 'a.csv': `Escuela 1,${one.serial},${one.uuid}\n${two.serial}\n` }), {
    out: /2 taken/,
  })
  t.match(await bring(house, { 'serials.txt': `${one.serial}\n${two.serial}\n${three.serial}\n` }), {
    out: 'serials.txt: 1 taken, 2 unchanged, 0 refused\n',
  })
  t.match(await bring(house, { 'laptops.dat': `${two.serial}\t${two.uuid}\tmore\n` }), { out: /1 taken/ })
  t.match(await bring(house, { 'b.csv': `${one.serial},${three.uuid}\n${two.serial},x\n` }), {
    exit: 65,
    out: 'b.csv: 1 taken, 0 unchanged, 1 refused\n',
    err: `b.csv: line 2: ${two.serial}: has something behind it that is no uuid\nb.csv: 1 of them with another uuid than before: ${one.serial}\n`,
  })
  const known = await listed(house)
  t.match(known.get(one.serial), { school: 'Escuela 1', uuid: true })
  t.match(known.get(two.serial), { school: null, uuid: true })
  t.match(known.get(three.serial), { uuid: false })
})

t.test('uuids are nowhere in what an import says', async (t) => {
  const { house } = await school(t, { keyring: new DeskKeyring() })
  const { uuid } = one
  const files = {
    'a.csv': `${one.serial},${uuid}\n${one.serial},${two.uuid}\nx,y,${uuid}\n"${uuid}\n${one.serial},${uuid}0\n`,
    'b.dat': `${one.serial} ${uuid}${uuid}\n${uuid}\n`,
    'leases.sig': `act01: ${one.serial} K ${uuid} sig01: x\nact01: ${uuid}\ndel01: ${one.serial} ${uuid} sig02: x\n`,
    'stolen.list': `${uuid}\n`,
    'd-lease.sig': `del01: ${one.serial} ${uuid} sig02: x\n`,
  }
  for (const [name, content] of Object.entries(files)) {
    const { out, err } = await bring(house, { [name]: content })
    t.match(out + err, /refused/, name)
    t.notMatch(out + err, /[0-9A-F]{8}-[0-9A-F]{4}/i, name)
  }
})

t.test('an older list of stolen laptops does not make stolen what an operator took off', async (t) => {
  const { house } = await school(t)
  const command = (what: string, serial: string) =>
    house.command(['activation', 'stolen'], { args: { what, serial } })
  t.match(
    await bring(house, { 'stolen.list': `${one.serial}\r\n\r\n${two.serial.toLowerCase()}\r\nowl\r\n` }),
    {
      exit: 65,
      out: 'stolen.list: 2 taken, 0 unchanged, 1 refused\n',
    },
  )
  await command('remove', one.serial)
  const again = await bring(house, { 'stolen.list': `${one.serial}\n${two.serial}\n` })
  t.match(again, { exit: 65, out: 'stolen.list: 0 taken, 1 unchanged, 1 refused\n' })
  t.match(again.err, new RegExp(`line 1: ${one.serial}: .* activation stolen add ${one.serial}`))
  const known = await listed(house)
  t.equal(known.get(one.serial)?.stolen, false)
  t.equal(known.get(two.serial)?.stolen, true)
})

t.test('without a keyring its files are refused with what to do, and the rest goes in', async (t) => {
  const { house } = await school(t)
  const keys = join(process.cwd(), 'test', 'vectors', 'bios-crypto', 'usb', 'xs-activation', 'escuela123')
  const files: Record<string, Buffer | string> = { 'laptops.csv': list }
  for (const name of ['server.pri', 'server.pub', 'd-lease.sig', 'd-oats.sig'])
    files[name] = await readFile(join(keys, name))
  const { exit, out, err } = await bringFolder(house, files)
  t.equal(exit, 65)
  t.match(out, /laptops\.csv: 3 taken, 0 unchanged, 0 refused/)
  for (const name of ['server.pri', 'd-lease.sig', 'd-oats.sig'])
    t.match(out, `${name}: refused: the plugin keyring is off: only it keeps keys and delegations`)
  t.match(err, 'add keyring to the option plugins')
})

t.test('a file that is nothing known is refused by its name, and half a pair of keys too', async (t) => {
  const { house } = await school(t)
  t.match(await bring(house, { 'notes.txt': 'buy owls\n' }), {
    exit: 65,
    out: 'notes.txt: refused: it is nothing that is known here\n',
    err: /^notes\.txt: known are leases\.sig, .*stolen\.list/,
  })
  t.match(await bringFolder(house, { 'server.pri': 'x' }), {
    exit: 65,
    out: /server\.pub, which belongs to it, is not beside it/,
  })
  t.match(await bringFolder(house, { 'server.pub': 'x' }), {
    exit: 65,
    out: /server\.pri, which belongs to it, is not beside it/,
  })
})

t.test('a directory with a manifest is taken as it says, and leaves no copy behind', async (t) => {
  const root = await temporaryDirectory(t)
  const { house } = await school(t, { root })
  const files = { 'leases.sig': `${lease(one, 9)}\n`, 'laptops.csv': list }
  const place = await temporaryDirectory(t)
  for (const [name, content] of Object.entries(files)) await writeFile(join(place, name), content)
  const manifest = sha1sum(place, Object.keys(files))
  t.match(await bringFolder(house, { ...files, 'manifest.sha1': manifest, '.DS_Store': 'x' }), {
    exit: 0,
    out: 'laptops.csv: 3 taken, 0 unchanged, 0 refused\nleases.sig: 1 taken, 0 unchanged, 0 refused\n',
  })
  const bad = await bringFolder(house, {
    ...files,
    'leases.sig': `${lease(one, 90)}\n`,
    'more.csv': 'x',
    'manifest.sha1': `${manifest}${'0'.repeat(40)}  gone.sig\n`,
  })
  t.equal(bad.exit, 65)
  t.match(bad.out, /^more\.csv: refused: manifest\.sha1 does not name this file$/m)
  t.match(bad.out, /^leases\.sig: refused: leases\.sig .*sum/m)
  t.match(bad.out, /^gone\.sig: refused: there is no file gone\.sig$/m)
  t.match(bad.out, /^laptops\.csv: 0 taken, 3 unchanged, 0 refused$/m)
  t.match(await bringFolder(house, { ...files, 'manifest.sha1': `${'0'.repeat(40)}  ../../etc/passwd\n` }), {
    exit: 65,
    out: /^\.: refused: manifest\.sha1, line 1: .*leads to another directory/,
  })
  t.strictSame(
    (await readdir(join(root, 'activation'))).filter((name) => name.startsWith('incoming')),
    [],
  )
})

t.test('what a killed server left of a directory is removed when the next one comes', async (t) => {
  const root = await temporaryDirectory(t)
  const { house } = await school(t, { root })
  const left = join(root, 'activation', 'incoming-0badcafe-x')
  await mkdir(left)
  await writeFile(join(left, 'server.pri'), 'secret')
  t.match(await bringFolder(house, { 'laptops.csv': list }), { exit: 0 })
  t.notOk(existsSync(left))
})

t.test('a start removes it as well: there may be a private key in it', async (t) => {
  const root = await temporaryDirectory(t)
  const left = join(root, 'activation', 'incoming-0badcafe-x')
  await mkdir(left, { recursive: true, mode: 0o700 })
  await writeFile(join(left, 'server.pri'), 'secret')
  await school(t, { root })
  t.notOk(existsSync(left))
})

t.test('what cannot be removed stops neither the start nor the next import', async (t) => {
  const root = await temporaryDirectory(t)
  const left = join(root, 'activation', 'incoming-0badcafe-x')
  await mkdir(left, { recursive: true, mode: 0o700 })
  const mounted = spawnSync('mount', ['-t', 'tmpfs', 'tmpfs', left], { timeout: 10_000 })
  if (mounted.status !== 0) return lacks(t, 'needs a directory that is busy', 'this user cannot mount one')
  t.teardown(() => void spawnSync('umount', ['-l', left], { timeout: 10_000 }))
  const { house, port } = await school(t, { root, changes: [ready(one.serial, one.uuid, inDays(9))] })
  t.match((await ask(port, one.serial)).text, /^act01: /)
  t.match(await bringFolder(house, { 'laptops.csv': list }), { exit: 0 })
})

t.test('a lease of a key that is compromised is refused, though no other is known', async (t) => {
  const keyring = new DeskKeyring()
  const { house } = await school(t, { keyring })
  t.match(await bring(house, { a: lease(one, 9) }), { exit: 0 })
  keyring.compromise(master.public)
  t.match(await bring(house, { a: lease(two, 9) }), {
    exit: 65,
    err: /is signed by 6c4dc43e89a1, which is compromised/,
  })
  keyring.compromise(server.public)
  keyring.known = [rogue.public]
  t.match(await bring(house, { a: chainedLease(two.serial, two.uuid, inDays(9), inDays(9)) }), {
    exit: 65,
    err: /which is compromised/,
  })
  keyring.known = []
  t.match(await bring(house, { a: lease(three, 9, rogue) }), { exit: 0, err: /taken unchecked/ })
})

t.test(
  'of a directory what is for this server goes in, and what is not is passed over by name',
  async (t) => {
    const { house } = await school(t, { settings: { hostname: 'escuela123' } })
    const file = (days: number) => `${lease(one, days)}\n`
    const { exit, out, err } = await bringFolder(house, {
      'xs-activation/leases.sig': file(5),
      'xs-activation/escuela123/leases.sig': file(6),
      'xs-activation/escuela124/leases.sig': file(99),
      'photos/2026/cat.jpg': 'x',
    })
    t.equal(exit, 0)
    t.match(out, /^xs-activation\/leases\.sig: 1 taken/m)
    t.match(out, /^xs-activation\/escuela123\/leases\.sig: 1 taken/m)
    t.equal(
      err.replace(/^.*taken unchecked.*\n/gm, ''),
      'passed over: xs-activation/escuela124\npassed over: photos/2026\n',
    )
    t.match(await bringFolder(house, { 'photos/cat.jpg': 'x' }), {
      exit: 66,
      err: /nothing in \. is for this server/,
    })
  },
)

t.test(
  'with security on, a directory without a manifest is refused, and a file that was named is not',
  async (t) => {
    const { house } = await school(t, { settings: { security: 'yes' } })
    t.match(await bringFolder(house, { 'laptops.csv': list }), {
      exit: 65,
      out: '.: refused: there is no manifest.sha1 in it, and the option security asks for a signed one\n',
    })
    t.match(await bringFolder(house, { 'laptops.csv': list, 'manifest.sha1': '' }), {
      exit: 65,
      out: /^\.: refused: .*manifest\.sha1\.sig/,
    })
    t.match(await bring(house, { 'laptops.csv': list }), { exit: 0 })
  },
)

t.test('at the command line: standard input, a directory with links, and a file of a gigabyte', async (t) => {
  const place = await temporaryDirectory(t)
  const root = join(place, 'root')
  const say = (file: string, input?: string) =>
    cli(
      t,
      [
        ...freePorts,
        '--plugins',
        'activation',
        '--activation-port',
        '0',
        '--root',
        root,
        'activation',
        'import',
        file,
      ],
      {
        cwd: place,
        ...(input !== undefined && { input }),
      },
    )
  t.match(await say('-', `${lease(one, 9)}\n`), {
    code: 0,
    out: 'standard input: 1 taken, 0 unchanged, 0 refused\n',
  })
  const stick = join(place, 'stick')
  await mkdir(stick)
  await writeFile(join(place, 'outside.sig'), `${lease(two, 9)}\n`)
  await symlink(join(place, 'outside.sig'), join(stick, 'leases.sig'))
  await writeFile(join(stick, 'stolen.list'), `${three.serial}\n`)
  await writeFile(join(stick, 'manifest.sha1'), sha1sum(stick, ['leases.sig', 'stolen.list']))
  t.match(await say('stick'), {
    code: 65,
    out: 'leases.sig: refused: there is no file leases.sig\nstolen.list: 1 taken, 0 unchanged, 0 refused\n',
  })
  await writeFile(join(place, 'big.csv'), '')
  await truncate(join(place, 'big.csv'), 2 ** 30)
  t.match(await say('big.csv'), { code: 65, err: /big\.csv is larger than 64 MiB/ })
})

t.test('a server knows a hundred thousand laptops, and no more', async (t) => {
  const applied: string[] = []
  const roll = {
    size: 99_999,
    get: (serial: string) => (serial === one.serial ? { serial, laptop: { serial } } : undefined),
    apply: async (changes: readonly { serial: string }[]) =>
      void applied.push(...changes.map(({ serial }) => serial)),
  }
  const planner = {
    now: () => new Date(),
    isGood: () => true,
    isAtOdds: () => false,
    holder: (serial: string) => ({ serial, uuid: undefined }),
  }
  const desk = { roll, planner, keyring: undefined, config: {}, log } as unknown as Service
  const outcome = await takeLaptops(desk, Buffer.from(list), { form: 'csv', delimiter: ',' })
  t.strictSame(applied, [one.serial, two.serial])
  t.match(outcome, {
    taken: 2,
    refused: 1,
    refusals: [{ line: 3, serial: three.serial, reason: /100000 laptops/ }],
  })
  roll.size = 100_000
  t.match(await takeLeases(desk, Buffer.from(`${lease(two, 3)}\n${lease(one, 3)}`)), { taken: 1, refused: 1 })
})

t.test('a list that changes uuids names the laptops, the first twenty', async (t) => {
  const { house } = await school(t)
  const many = Array.from({ length: 25 }, (_, number) => laptop(number))
  const csv = (uuidOf: (number: number) => string) =>
    many.map(({ serial }, number) => `${serial},${uuidOf(number)}\n`).join('')
  await bring(house, { 'a.csv': csv((number) => laptop(number).uuid) })
  const { exit, err } = await bring(house, { 'b.csv': csv((number) => laptop(number + 100).uuid) })
  t.equal(exit, 0)
  const names = many.slice(0, 20).map(({ serial }) => serial)
  t.equal(err, `b.csv: 25 of them with another uuid than before: ${names.join(', ')} and 5 more\n`)
})

t.test('a list whose uuids are not those of the delegations says so, and mends the leases', async (t) => {
  const keyring = new DeskKeyring()
  keyring.isMaster = false
  keyring.delegate(one.serial, three.uuid, inDays(90))
  keyring.delegate(two.serial, two.uuid, inDays(90))
  const { house, port } = await school(t, { keyring })
  const said = await bring(house, { 'laptops.csv': list })
  t.match(said, {
    exit: 0,
    err: /^laptops\.csv: 1 laptop has one uuid in your list and another in its delegation: SHC00000001; .*explain SERIAL"\n$/,
  })
  t.match(
    await bring(house, { 'laptops.csv': list }),
    { out: /0 taken, 3 unchanged/, err: said.err },
    'again',
  )
  t.equal(
    (await bring(house, { 'serials.txt': `${one.serial}\n` })).err,
    '',
    'where no uuid is told, none differs',
  )
  const { text } = await ask(port, one.serial)
  const question = { at: inDays(0), trusted: [master.public] }
  t.equal(checkLease(text, { ...one, ...question }).verdict, 'valid')
  keyring.takeDelegations = async () => ({ taken: [one.serial, two.serial], unchanged: 0, refused: [] })
  const del = { 'd-lease.sig': 'del01: x\n' }
  t.match(await bring(house, del), { exit: 0, err: /^d-lease\.sig: 1 laptop has one uuid .*: SHC00000001; / })
  t.equal((await bring(house, { 'd-oats.sig': 'del01: x\n' })).err, '', 'no uuid is in answers of OATS')
})

t.test('leases are found behind blank lines and comments, as lines and as a bundle', async (t) => {
  const { house } = await school(t, { keyring: new DeskKeyring() })
  await bring(house, { 'laptops.csv': list })
  t.match(await bring(house, { 'mine.txt': `\n \n# for the first class\n\n${lease(one, 9)}\n` }), {
    exit: 65,
    out: 'mine.txt: 1 taken, 0 unchanged, 1 refused\n',
    err: /^mine\.txt: line 3: is no "act01:/,
  })
  t.match(await bring(house, { 'mine.txt': `\r\n\r\n${lease(one, 19)}\r\n` }), {
    exit: 0,
    out: 'mine.txt: 1 taken, 0 unchanged, 0 refused\n',
  })
  const bundle = bundleOf({ [two.serial]: lease(two, 9), [three.serial]: lease(two, 9) })
  t.match(await bring(house, { 'mine.txt': `\n\r\n${bundle}` }), {
    exit: 65,
    out: 'mine.txt: 1 taken, 0 unchanged, 1 refused\n',
    err: `mine.txt: line 4: ${three.serial}: holds a lease of ${two.serial}\n`,
  })
  const far = `${'# x\n'.repeat(1000)}${lease(three, 9)}\n`
  t.match(await bring(house, { 'mine.txt': far }), { exit: 65, out: /it is nothing that is known here/ })
})
