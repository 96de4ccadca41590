import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdir, readdir, readFile, rm, stat, unlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import ssh2 from 'ssh2'
import t from 'tap'
import { HomeError, keyTypes, openIdentity, publicHalf, uidOf } from '../../sugaroid/index.js'
import { opensshHasDsa } from '../support/openssh.js'
import { noSshKeygen } from '../support/sugaroid/fake-servers.js'
import { temporaryDirectory } from '../support/temporary-directory.js'

t.setTimeout(300_000)

const made = (home: string) => join(home, 'default', 'owner.key')

t.test('a new home gets the key Sugar would make, readable by its owner alone', async (t) => {
  const home = join(await temporaryDirectory(t), 'deep', 'home')
  const identity = await openIdentity(home)
  const [name, label] = opensshHasDsa ? ['ssh-dss', 'DSA'] : ['ssh-rsa', 'RSA']
  t.equal(identity.keyName, name, 'DSA as every Sugar, RSA as its next version where ssh has no DSA')
  t.equal(identity.keyFile, made(home))
  t.equal((await stat(made(home))).mode & 0o777, 0o600)
  t.match(await readFile(made(home), 'utf8'), new RegExp(`^-----BEGIN ${label} PRIVATE KEY-----\n`))
  t.equal(await readFile(`${made(home)}.pub`, 'utf8'), `${name} ${identity.pubkey} \n`)
  t.equal(identity.uid, createHash('sha1').update(identity.pubkey).digest('hex'))
  t.equal(uidOf(identity.pubkey), identity.uid)
  t.same((await readdir(join(home, 'default'))).sort(), ['owner.key', 'owner.key.pub'])
})

t.test('OpenSSH itself reads every type of key and signs with it', { skip: noSshKeygen }, async (t) => {
  const names = { dsa: 'DSA', rsa: 'RSA', ecdsa: 'ECDSA', ed25519: 'ED25519' }
  const bits = { dsa: 1024, rsa: 3072, ecdsa: 256, ed25519: 256 }
  const keygen = (...args: string[]) =>
    spawnSync('ssh-keygen', args, { encoding: 'utf8', input: 'a message' })
  for (const type of keyTypes) {
    t.test(type, async (t) => {
      const { keyFile, keyName, pubkey } = await openIdentity(await temporaryDirectory(t), { key: type })
      if (type === 'dsa' && !opensshHasDsa) {
        const [key] = [ssh2.utils.parseKey(await readFile(keyFile))].flat()
        if (key === undefined || key instanceof Error) throw new Error('ssh2 cannot read it')
        t.equal(key.getPublicSSH().toString('base64'), pubkey, 'where OpenSSH has no DSA, ssh2 agrees')
        const signature = key.sign('a message')
        t.ok(Buffer.isBuffer(signature) && key.verify('a message', signature), 'the halves belong together')
        return
      }
      t.equal(keygen('-y', '-f', keyFile).stdout.trim(), `${keyName} ${pubkey}`, 'ssh-keygen -y agrees')
      t.match(
        keygen('-l', '-f', `${keyFile}.pub`).stdout,
        new RegExp(`^${bits[type]} .*\\(${names[type]}\\)`),
      )
      const signature = keygen('-Y', 'sign', '-q', '-f', keyFile, '-n', 'test').stdout
      await writeFile(`${keyFile}.sig`, signature)
      const check = keygen('-Y', 'check-novalidate', '-n', 'test', '-s', `${keyFile}.sig`)
      t.match(check.stdout, /Good "test" signature/, 'the halves belong together')
    })
  }
})

t.test(
  'a key made by ssh-keygen, in any of its forms, becomes the identity',
  { skip: noSshKeygen },
  async (t) => {
    for (const form of [[], ['-m', 'PEM'], ['-m', 'PKCS8']]) {
      for (const type of ['rsa', 'ecdsa']) {
        const home = await temporaryDirectory(t)
        await mkdir(join(home, 'default'))
        spawnSync('ssh-keygen', ['-q', '-t', type, ...form, '-C', '', '-N', '', '-f', made(home)])
        const line = await readFile(`${made(home)}.pub`, 'utf8')
        const { keyName, pubkey } = await openIdentity(home)
        t.equal(`${keyName} ${pubkey}`, line.trim(), `${type} ${form.join(' ')}`)
      }
    }
  },
)

t.test('the identity is made once: whatever is opened later is the same learner', async (t) => {
  const home = await temporaryDirectory(t)
  const first = await openIdentity(home, { nick: 'Wanjikũ\n' })
  const second = await openIdentity(home)
  t.equal(second.uid, first.uid)
  t.equal(second.nickname, 'Wanjikũ\n')
  t.equal((await openIdentity(home, { nick: '' })).nickname, '', 'a nickname may be empty')

  await unlink(`${made(home)}.pub`)
  t.equal((await openIdentity(home)).uid, first.uid, 'a lost public half is made again')
  t.equal(await readFile(`${made(home)}.pub`, 'utf8'), `${first.keyName} ${first.pubkey} \n`)
  t.equal(publicHalf(await readFile(made(home), 'utf8')).blob, first.pubkey)
})

t.test('ten that open a new home at once become one learner', async (t) => {
  const home = await temporaryDirectory(t)
  const opened = await Promise.all(
    Array.from({ length: 10 }, () => openIdentity(home, { xo: true, key: 'ecdsa' })),
  )
  t.equal(new Set(opened.map(({ uid, serial, uuid }) => uid + serial + uuid)).size, 1)
  t.same(
    (await readdir(join(home, 'default'))).sort(),
    ['owner.key', 'owner.key.pub'],
    'nothing is left over',
  )
})

t.test('a key that cannot be used is never replaced: the error says what to do', async (t) => {
  const home = await temporaryDirectory(t)
  const other = await openIdentity(await temporaryDirectory(t), { key: 'ed25519' })
  await openIdentity(home, { key: 'ed25519' })
  const key = await readFile(made(home))
  await t.rejects(
    openIdentity(home, { key: 'rsa' }),
    { name: 'HomeError', hint: /--key.*--home/ },
    'another type is asked for',
  )

  await writeFile(`${made(home)}.pub`, `ssh-ed25519 ${other.pubkey} \n`)
  await t.rejects(
    openIdentity(home),
    { name: 'HomeError', hint: /delete .*owner.key.pub/ },
    "another's public half",
  )

  await unlink(made(home))
  await t.rejects(openIdentity(home), { message: /private half/ }, 'the private half is lost')

  for (const garbage of ['', 'garbage', key.subarray(0, 60), Buffer.alloc(1000)]) {
    await writeFile(made(home), garbage)
    await t.rejects(openIdentity(home), HomeError)
    t.same(await readFile(made(home)), Buffer.from(garbage))
  }
})

t.test('an XO has its serial and uuid for life, another machine new ones at each registration', async (t) => {
  const xo = await temporaryDirectory(t)
  const { serial, uuid } = await openIdentity(xo, { xo: true })
  t.match(serial, /^SHC[0-9A-F]{8}$/)
  t.match(uuid, /^[0-9A-F]{8}-([0-9A-F]{4}-){3}[0-9A-F]{12}$/)
  t.match(await openIdentity(xo), { serial, uuid }, 'once an XO, always an XO')
  t.match(await openIdentity(xo, { serial: 'SHC12345678' }), { serial: 'SHC12345678', uuid })

  const pc = await temporaryDirectory(t)
  const first = await openIdentity(pc)
  const second = await openIdentity(pc)
  t.match(first.serial, /^[A-Z]{3}\d{8}$/)
  t.ok(Math.abs(Number(first.serial.slice(3)) - (Math.floor(Date.now() / 1000) % 1e8)) < 60, 'and the time')
  t.match(first.uuid, /^[0-9a-f]{8}-[0-9a-f]{4}-1[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
  t.not(second.uuid, first.uuid)
  t.not(second.serial, first.serial)
  t.equal(second.uid, first.uid)
})

t.test('a device tree without manufacturing data gives the constants all such machines share', async (t) => {
  const home = await temporaryDirectory(t)
  await mkdir(join(home, 'mfg-data'))
  const shared = { serial: 'SHF00000000', uuid: '00000000-0000-0000-0000-000000000000' }
  t.match(await openIdentity(home), shared)
  await writeFile(join(home, 'mfg-data', 'SN'), '\0\n')
  t.match(await openIdentity(home), shared, 'empty ones count as missing')
  await writeFile(join(home, 'mfg-data', 'SN'), 'CSN74805A3B\0')
  t.match(
    await openIdentity(home),
    { ...shared, serial: 'CSN74805A3B' },
    'NUL ends a string in a device tree',
  )
})

t.test('a home that cannot be written is told as the system tells it', async (t) => {
  const home = await temporaryDirectory(t)
  await writeFile(join(home, 'file'), '')
  await t.rejects(openIdentity(join(home, 'file', 'home')), { code: 'ENOTDIR' })
  await rm(join(home, 'file'))
})
