import { randomBytes } from 'node:crypto'
import { chmod, mkdir, readFile, stat, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import fc from 'fast-check'
import t, { type Test } from 'tap'
import {
  backUp,
  changeJournal,
  datastoreOf,
  differences,
  makeJournal,
  openAccount,
  openIdentity,
  restoreJournal,
  takeInventory,
  wipeJournal,
} from '../../sugaroid/index.js'
import { parseShellCall } from '../../sugaroid/ssh/command-line.js'
import { isKnownHost } from '../../sugaroid/ssh/known-hosts.js'
import { needs } from '../support/needs.js'
import { runs } from '../support/rounds.js'
import { blobOf } from '../support/ssh-keys.js'
import { codeSchool } from '../support/sugaroid/code-school.js'
import { enrol } from '../support/sugaroid/sshd-school.js'
import { temporaryDirectory } from '../support/temporary-directory.js'

const key = (type = 'ssh-ed25519') => Buffer.from(blobOf(type, randomBytes(32)), 'base64')

/** Programs on the PATH, with an ssh that has no DSA, as OpenSSH 10, and refuses to connect anywhere. */
async function withoutDsa(t: Test): Promise<void> {
  const folder = await temporaryDirectory(t)
  const script =
    '#!/bin/sh\n[ "$1 $2" = "-Q key" ] && exec echo ssh-ed25519\necho "command-line: Bad key types" >&2; exit 255\n'
  await writeFile(join(folder, 'ssh'), script, { mode: 0o755 })
  const path = process.env.PATH
  process.env.PATH = `${folder}:${path}`
  t.teardown(() => {
    process.env.PATH = path
  })
}

t.test('a laptop whose ssh has no DSA backs up and restores with its DSA key all the same', async (t) => {
  if (!needs(t, 'rsync', 'rsync')) return
  await withoutDsa(t)
  t.equal(
    (await openIdentity(await temporaryDirectory(t))).keyName,
    'ssh-rsa',
    'a new key is of another type',
  )
  const at = await codeSchool(t)
  const home = await enrol(t, at, join(await temporaryDirectory(t), "a child's home"), 'dsa')
  t.equal((await openAccount(home)).shell, 'own')
  const datastore = datastoreOf(home)
  await makeJournal(datastore, { entries: 60, megabytes: 6 })
  t.match(await backUp(home), { outcome: 'sent', said: '' })
  // Both sides have much to say at once: neither must wait for the other.
  await changeJournal(datastore, { percent: 60 })
  t.match(await backUp(home), { outcome: 'sent', said: '' })
  const before = await takeInventory(datastore)
  await wipeJournal(datastore)
  t.match(await restoreJournal(home), { outcome: 'restored' })
  t.same(differences(before, await takeInventory(datastore)), [])
  const known = join(home, 'known_hosts')
  t.match(
    await readFile(known, 'utf8'),
    /^\[127\.0\.0\.1\]:\d+ ssh-ed25519 \S+\n$/,
    'the host is known from now on',
  )
  t.equal((await stat(known)).mode & 0o777, 0o600)

  await writeFile(known, (await readFile(known, 'utf8')).replace(/ \S+\n$/, ` ${key().toString('base64')}\n`))
  t.match(await backUp(home), { outcome: 'failed', said: /Host key verification failed/ })
  await writeFile(known, '')
  await writeFile(join(at.tree, '..', 'authorized_keys'), '')
  t.match(await backUp(home), { outcome: 'failed', said: /Permission denied \(publickey\)/ })
  await at.close()
  t.match(await backUp(home), { outcome: 'failed', said: /ECONNREFUSED/ })
})

t.test('a host is known by the name and the port that OpenSSH would write', async (t) => {
  const file = join(await temporaryDirectory(t), 'known_hosts')
  const [first, second, rsa] = [key(), key(), key('ssh-rsa')]
  t.ok(await isKnownHost(file, 'school', 22, first), 'met for the first time')
  t.equal(await readFile(file, 'utf8'), `school ssh-ed25519 ${first.toString('base64')}\n`)
  t.ok(await isKnownHost(file, 'school', 22, first))
  t.notOk(await isKnownHost(file, 'school', 22, second), 'it has another key now')
  t.notOk(await isKnownHost(file, 'school', 22, rsa), 'whatever its type')
  t.ok(await isKnownHost(file, 'school', 2222, second), 'another port is another host')
  t.ok(await isKnownHost(file, 'fd00::1', 2222, rsa))
  t.match(await readFile(file, 'utf8'), /\n\[school\]:2222 ssh-ed25519 \S+\n\[fd00::1\]:2222 ssh-rsa \S+\n$/)
  const big = join(await temporaryDirectory(t), 'big')
  await writeFile(big, Buffer.alloc((1 << 20) + 1, 'a'))
  await t.rejects(isKnownHost(big, 'school', 22, first), { name: 'HomeError' })
  const folder = join(await temporaryDirectory(t), 'shut')
  await mkdir(folder)
  await symlink(folder, join(folder, 'loop'))
  await t.rejects(isKnownHost(folder, 'school', 22, first), { code: 'EISDIR' })
  await chmod(folder, 0o700)
})

const words = ['-i', 'key', '-o', 'UserKnownHostsFile=known']

t.test("what rsync says behind the remote shell's name is read as ssh reads it", async (t) => {
  const call = parseShellCall([
    ...words,
    '-F',
    '/dev/null',
    '-p',
    '2222',
    '-l',
    'ana',
    'school',
    'rsync',
    '--server',
    '.',
  ])
  t.match(call, {
    host: 'school',
    port: 2222,
    user: 'ana',
    keyFile: 'key',
    knownHosts: 'known',
    timeout: 30_000,
  })
  t.equal(call.command, 'rsync --server .', 'options behind the host are words of the command')
  t.match(parseShellCall([...words, 'ana@fd00::1', '-l', 'x']), {
    host: 'fd00::1',
    user: 'ana',
    port: 22,
    command: '-l x',
  })
  t.same(parseShellCall([...words, '-o', 'Ciphers=aes128-cbc,aes128-ctr', 'a@b', 'c']).algorithms, {
    cipher: ['aes128-cbc', 'aes128-ctr'],
  })
  for (const wrong of [
    [],
    [...words],
    [...words, 'ana@school'],
    [...words, 'school', 'rsync'],
    ['-i', 'key', 'ana@school', 'rsync'],
    [...words, '-p', '0', 'ana@school', 'rsync'],
    [...words, '-p', '65536', 'ana@school', 'rsync'],
    [...words, '-o', 'ProxyCommand=x', 'ana@school', 'rsync'],
    [...words, '-o', 'StrictHostKeyChecking=no', 'ana@school', 'rsync'],
    [...words, '-oProxyCommand=x', 'y', 'ana@school', 'rsync'],
    [...words, '-R', '0:a:1', 'ana@school', 'rsync'],
    [...words, '-l'],
  ])
    t.throws(() => parseShellCall(wrong), { name: 'UsageError' }, wrong.join(' '))
})

t.test('no arguments make it run anything but what they name', async (t) => {
  const word = fc.oneof(
    fc.constantFrom(
      '-i',
      '-l',
      '-p',
      '-o',
      '-F',
      '-R',
      'a@b',
      'rsync',
      '22',
      'UserKnownHostsFile=k',
      'Ciphers=',
      '--',
      '',
    ),
    fc.string({ maxLength: 8 }),
  )
  fc.assert(
    fc.property(fc.array(word, { maxLength: 12 }), (args) => {
      try {
        const { host, port, command } = parseShellCall(args)
        return (
          host !== '' &&
          !host.startsWith('-') &&
          port > 0 &&
          port < 65_536 &&
          args.join(' ').endsWith(command)
        )
      } catch (error) {
        return error instanceof Error && error.name === 'UsageError'
      }
    }),
    runs(3000),
  )
  t.pass('3000 command lines')
})
