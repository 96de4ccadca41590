import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import {
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import ssh2 from 'ssh2'
import t from 'tap'
import { hostKeys } from '../../../../plugins/backup/transport/ssh2/host-keys.js'
import { fileReaders } from '../../../support/backup/hostile-rsync.js'
import { runs, until } from '../../../support/backup/plain-sessions.js'
import { type KeyType, Laptop, run } from '../../../support/backup/ssh-laptop.js'
import { serving, tools } from '../../../support/backup/ssh2-server.js'

t.setTimeout(300_000)

t.test('a Journal goes there and comes back byte for byte, with every kind of key', async (t) => {
  if (!tools(t)) return
  for (const type of ['ed25519', 'rsa', 'ecdsa', 'dsa'] satisfies KeyType[]) {
    const laptop = new Laptop(t, type)
    const { sessions } = await serving(t, [laptop])
    const sent = await laptop.rsync(
      '-rlptz',
      '--delete',
      '--partial',
      '--timeout=160',
      `${laptop.journal}/`,
      'SHC00000000@127.0.0.1:datastore-current',
    )
    t.equal(sent.code, 0, `${type}: ${sent.stderr}`)
    const kept = join(sessions.tree(laptop.uid), 'datastore-current')
    t.equal(Laptop.listing(kept), Laptop.listing(laptop.journal))
    const back = join(laptop.folder, 'back')
    const fetched = await laptop.rsync('-rlpt', 'anybody@127.0.0.1:datastore-current/', `${back}/`)
    t.equal(fetched.code, 0, fetched.stderr)
    t.equal(Laptop.listing(back), Laptop.listing(laptop.journal))
    t.same(sessions.codes, [0, 0])
    t.match(sessions.callers[0], {
      uid: laptop.uid,
      nickname: 'Ana',
      address: '127.0.0.1',
      transport: 'ssh2',
    })
    t.equal(sessions.pids.length, 2)
  }
})

t.test('what old laptops have to offer is enough', async (t) => {
  if (!tools(t)) return
  const old = [
    ['KexAlgorithms', 'diffie-hellman-group14-sha1'],
    ['HostKeyAlgorithms', 'ssh-rsa'],
    ['Ciphers', 'aes128-cbc'],
    ['MACs', 'hmac-sha1'],
  ].flatMap(([name, value]) => ['-o', `${name}=${value}`])
  // OpenSSH with DSA where there is one, a client in code with DSA elsewhere; and OpenSSH with RSA everywhere.
  for (const type of ['dsa', 'rsa'] satisfies KeyType[]) {
    const laptop = new Laptop(t, type)
    await serving(t, [laptop])
    const sent = await laptop.rsyncVia(
      ['-p', String(laptop.port), ...old, ...(laptop.client.length > 1 ? [] : ['-o', 'RekeyLimit=16K'])],
      '-rlt',
      `${laptop.journal}/`,
      'x@127.0.0.1:datastore-current',
    )
    t.equal(sent.code, 0, `${type}: ${sent.stderr}`)
  }
  // ssh2 1.17 leaves out a comma where it lists what it takes: a client that reads the list, as OpenSSH 10, does not find
  // rsa-sha2-512 there, and uses rsa-sha2-256 unless it is kept from it.
  for (const hash of ['ssh-rsa', 'rsa-sha2-256', 'rsa-sha2-512,rsa-sha2-256']) {
    const rsa = new Laptop(t, 'rsa')
    const { sessions } = await serving(t, [rsa])
    const shown = await rsa.ssh('-o', `PubkeyAcceptedAlgorithms=${hash}`, 'x@127.0.0.1', 'id')
    t.match(shown.stderr, /only rsync is answered here/, hash)
    t.equal(sessions.callers.length, 1)
  }
})

t.test('nothing but rsync is to be had, and the connection bears the asking', async (t) => {
  if (!tools(t)) return
  const laptop = new Laptop(t)
  const { sessions, transport, port } = await serving(t, [laptop])
  const host = 'x@127.0.0.1'
  for (const command of [
    'id',
    'rsync --server -ltr . ../bob',
    'rsync --server -ltr . /etc',
    'rsync --server -ltr . documents; id',
    'rsync --daemon',
  ]) {
    const refused = await laptop.ssh(host, command)
    t.equal(refused.code, 77, command)
    t.match(refused.stderr, /^sugar-server: .+\nsugar-server: .+\n$/, command)
    t.equal(refused.stdout, '')
  }
  const shell = await laptop.ssh(host)
  t.not(shell.code, 0)
  t.match(shell.stderr, /no shell/)
  t.match((await laptop.ssh('-tt', host, 'id')).stderr, /only rsync|PTY/i)
  const subsystem = await laptop.ssh('-s', host, 'sftp')
  t.not(subsystem.code, 0)
  t.not((await run('scp', [...laptop.options('-P', String(port)), '-O', laptop.key, `${host}:x`])).code, 0)
  t.not((await run('scp', [...laptop.options('-P', String(port)), laptop.key, `${host}:x`])).code, 0)
  for (const forwarding of [
    ['-R', '0:127.0.0.1:9'],
    ['-o', 'ExitOnForwardFailure=yes', '-R', '/tmp/x.sock:/tmp/y.sock'],
  ]) {
    t.not((await laptop.ssh('-o', 'ExitOnForwardFailure=yes', '-N', ...forwarding, host)).code, 0)
  }
  t.not((await laptop.ssh('-W', `127.0.0.1:${port}`, host)).code, 0)
  t.equal(
    (await laptop.ssh('-A', '-X', '-o', 'SendEnv=PATH', '-o', 'SetEnv=RSYNC_RSH=sh', host, 'id')).code,
    77,
  )

  // All of it over one connection, which then still serves.
  const client = new ssh2.Client()
  const events = new Promise<void>((resolve, reject) => client.once('ready', resolve).once('error', reject))
  client.connect({ host: '127.0.0.1', port, username: 'x', privateKey: readFileSync(laptop.key) })
  await events
  const tried = (ask: (done: (error?: Error | null) => void) => void) =>
    new Promise<boolean>((resolve) => ask((error) => resolve(error === undefined || error === null)))
  t.notOk(await tried((done) => client.sftp((error) => done(error))))
  t.notOk(await tried((done) => client.subsys('rsync', (error) => done(error))))
  t.notOk(await tried((done) => client.forwardIn('127.0.0.1', 0, (error) => done(error))))
  t.notOk(await tried((done) => client.forwardOut('127.0.0.1', 1, '127.0.0.1', port, (error) => done(error))))
  t.notOk(await tried((done) => client.openssh_forwardOutStreamLocal('/run/x', (error) => done(error))))
  t.notOk(await tried((done) => client.openssh_forwardInStreamLocal('/tmp/x', (error) => done(error))))
  const code = await new Promise<number>((resolve, reject) => {
    client.exec(
      'rsync --server -ltr --inplace . documents',
      { env: { RSYNC_RSH: 'sh' }, pty: false },
      (error, channel) => {
        if (error) reject(error)
        else channel.on('exit', resolve).resume()
      },
    )
  })
  t.equal(code, 77)
  client.end()
  t.equal((await laptop.rsync('-r', `${laptop.journal}/`, `${host}:documents`)).code, 0)
  t.ok(sessions.commands.every((command) => command !== ''))
  t.ok(await until(() => transport.connections === 0), 'all have gone')
})

t.test('a key that nobody registered stays outside, and so does a password', async (t) => {
  if (!tools(t)) return
  const laptop = new Laptop(t)
  const stranger = new Laptop(t)
  const { sessions } = await serving(t, [laptop])
  stranger.port = laptop.port
  const refused = await stranger.ssh('x@127.0.0.1', 'rsync --server -ltr . documents')
  t.equal(refused.code, 255)
  t.match(refused.stderr, /Permission denied \(publickey\)/)
  t.same(sessions.callers, [])

  // The right key's public half with another's signature.
  const client = new ssh2.Client()
  const failed = new Promise((resolve) => client.once('error', resolve).once('ready', () => resolve('ready')))
  const key = ssh2.utils.parseKey(readFileSync(stranger.key))
  const known = ssh2.utils.parseKey(laptop.pubkey)
  if (key instanceof Error || known instanceof Error) throw new Error('keys')
  const agent = Object.assign(Object.create(ssh2.BaseAgent.prototype), {
    getIdentities: (done: (error: undefined, keys: unknown[]) => void) => done(undefined, [known]),
    sign: (_: unknown, data: Buffer, __: unknown, done: (error: undefined, signature: Buffer) => void) =>
      done(undefined, key.sign(data) as Buffer),
  })
  client.connect({ host: '127.0.0.1', port: laptop.port, username: 'x', agent })
  t.not(await failed, 'ready')
  t.same(sessions.callers, [])
})

t.test('rules that a client sends do not read files of the server to it', async (t) => {
  if (!tools(t)) return
  const laptop = new Laptop(t)
  const { sessions, port } = await serving(t, [laptop])
  const secret = join(laptop.folder, 'secret')
  writeFileSync(secret, '{"uuid":"very-secret"}\nvery-secret too\n')
  t.equal((await laptop.rsync('-r', `${laptop.journal}/`, 'x@127.0.0.1:datastore-current')).code, 0)
  const args = [...laptop.options('-p', String(port)), 'x@127.0.0.1']
  const replies = fileReaders(secret).map((client) => client.talk(spawn('ssh', [...args, client.command])))
  for (const { told, client } of await Promise.all(replies)) {
    t.notMatch(told, /very-secret/, client)
    t.match(
      told,
      /sugar-server: the filter rule ".+ is refused: it has the server read a file of rules/,
      client,
    )
  }
  t.equal(sessions.refused.length, replies.length)
  t.equal(sessions.opened, 0)
})

t.test('a client that minds no window is cut off before it fills the memory', async (t) => {
  if (!tools(t)) return
  const laptop = new Laptop(t)
  const { sessions, transport, port } = await serving(t, [laptop])
  sessions.wait = new Promise(() => {})
  const client = new ssh2.Client()
  const ready = new Promise<void>((resolve) => client.once('ready', () => resolve()))
  const closed = new Promise<void>((resolve) => client.once('close', () => resolve()))
  client.on('error', () => {})
  client.connect({ host: '127.0.0.1', port, username: 'x', privateKey: readFileSync(laptop.key) })
  await ready
  client.exec('rsync --server -ltr . documents', (error, channel) => {
    if (error) throw error
    channel.on('error', () => {})
    // As a client of its own making would have it.
    Object.assign((channel as unknown as { outgoing: { window: number } }).outgoing, { window: 2 ** 40 })
    // ssh2 notices a window that is used up to the last byte, and no other: hence an odd length.
    for (let piece = 0; piece < 2000; piece += 1) channel.write(Buffer.alloc(30_001))
  })
  await closed
  t.ok(await until(() => sessions.left === 1 && transport.connections === 0))
})

t.test('sixty-four laptops at once are all served, few at a time', async (t) => {
  if (!tools(t)) return
  const laptop = new Laptop(t)
  const { sessions, transport } = await serving(t, [laptop], {
    connections: 12,
    perNetwork: 8,
    silence: 60_000,
  })
  const codes = await Promise.all(Array.from({ length: 64 }, () => laptop.ssh('x@127.0.0.1', 'id')))
  t.same([...new Set(codes.map(({ code }) => code))], [77])
  t.equal(sessions.callers.length, 64)
  t.ok(await until(() => transport.connections === 0))
})

t.test('a laptop that goes away in the middle frees everything', async (t) => {
  if (!tools(t)) return
  const laptop = new Laptop(t)
  const { sessions, transport } = await serving(t, [laptop])
  writeFileSync(join(laptop.journal, 'big'), '')
  truncateSync(join(laptop.journal, 'big'), 2 ** 31)
  const args = ['-e', `ssh ${laptop.options('-p', String(laptop.port)).join(' ')}`, '-rlt', '--bwlimit=2000']
  for (const signal of ['SIGKILL', 'SIGTERM'] as const) {
    const child = spawn('rsync', [...args, `${laptop.journal}/`, 'x@127.0.0.1:datastore-current'], {
      stdio: 'ignore',
      detached: true,
    })
    const before = sessions.pids.length
    t.ok(await until(() => sessions.pids.length > before))
    await until(() => readdirSync(join(sessions.home, laptop.uid, 'temporary')).length > 0)
    if (child.pid !== undefined) process.kill(-child.pid, signal)
    t.ok(await until(() => sessions.opened === 0), 'the session was given back')
    t.notOk(runs(sessions.pids.at(-1) ?? 0), 'rsync has ended')
    t.equal(sessions.codes.at(-1) === 0, false)
    t.ok(await until(() => transport.connections === 0))
  }
  // One that gives up before its turn.
  sessions.wait = new Promise(() => {})
  const waiting = spawn(
    'ssh',
    [...laptop.options('-p', String(laptop.port)), 'x@127.0.0.1', 'rsync --server -ltr . documents'],
    { stdio: 'ignore' },
  )
  const asked = sessions.commands.length
  await until(() => sessions.commands.length > asked)
  waiting.kill('SIGKILL')
  t.ok(await until(() => sessions.left === 1 && transport.connections === 0))
  sessions.wait = undefined
  t.equal((await laptop.rsync('-r', `${laptop.journal}/ab`, 'x@127.0.0.1:documents')).code, 0)
})

t.test('the server can break a transfer off, and says why', async (t) => {
  if (!tools(t)) return
  const laptop = new Laptop(t)
  const { sessions, transport } = await serving(t, [laptop])
  writeFileSync(join(laptop.journal, 'big'), '')
  truncateSync(join(laptop.journal, 'big'), 2 ** 31)
  for (const direction of ['push', 'pull']) {
    if (direction === 'pull') {
      writeFileSync(join(sessions.tree(laptop.uid), 'documents', 'big'), '')
      truncateSync(join(sessions.tree(laptop.uid), 'documents', 'big'), 2 ** 31)
    }
    const paths =
      direction === 'push'
        ? [`${laptop.journal}/`, 'x@127.0.0.1:datastore-current']
        : ['x@127.0.0.1:documents/', `${laptop.folder}/back`]
    const before = sessions.pids.length
    const sent = laptop.rsync('-rlt', '--bwlimit=2000', ...paths)
    await until(() => sessions.pids.length > before)
    for (const abort of sessions.aborts) abort.abort(new Error('the disk is nearly full'))
    const { code, stderr } = await sent
    t.not(code, 0)
    t.match(stderr, /sugar-server: the disk is nearly full/, direction)
    t.notOk(runs(sessions.pids.at(-1) ?? 0))
  }
  const sent = laptop.rsync('-rlt', '--bwlimit=2000', `${laptop.journal}/`, 'x@127.0.0.1:datastore-current')
  await until(() => sessions.opened === 1)
  await transport.close()
  t.not((await sent).code, 0)
  t.equal(sessions.opened, 0)
})

t.test('a laptop that has fallen asleep holds nothing up when the server breaks off', async (t) => {
  if (!tools(t)) return
  const laptop = new Laptop(t)
  const { sessions, transport } = await serving(t, [laptop])
  t.equal((await laptop.rsync('-r', `${laptop.journal}/`, 'x@127.0.0.1:documents')).code, 0)
  writeFileSync(join(sessions.tree(laptop.uid), 'documents', 'big'), '')
  truncateSync(join(sessions.tree(laptop.uid), 'documents', 'big'), 2 ** 31)
  const args = ['-e', `ssh ${laptop.options('-p', String(laptop.port)).join(' ')}`, '-r']
  const child = spawn('rsync', [...args, 'x@127.0.0.1:documents/', `${laptop.folder}/back`], {
    stdio: 'ignore',
    detached: true,
  })
  const group = -(child.pid ?? Number.NaN)
  const file = `${laptop.folder}/back`
  t.ok(await until(() => existsSync(file) && readdirSync(file).some((name) => name.startsWith('.big'))))
  process.kill(group, 'SIGSTOP')
  for (const abort of sessions.aborts) abort.abort(new Error('the server stops'))
  t.ok(await until(() => sessions.opened === 0))
  await transport.close()
  process.kill(group, 'SIGKILL')
  t.ok(await until(() => transport.connections === 0))
})

t.test('what the session makes of the end is what the laptop is told', async (t) => {
  if (!tools(t)) return
  const laptop = new Laptop(t)
  const { sessions } = await serving(t, [laptop])
  sessions.verdict = () => 75
  t.equal((await laptop.rsync('-r', `${laptop.journal}/`, 'x@127.0.0.1:documents')).code, 75)
  sessions.verdict = () => {
    throw new TypeError('a fault')
  }
  const faulty = await laptop.rsync('-r', `${laptop.journal}/`, 'x@127.0.0.1:documents')
  t.equal(faulty.code, 75)
  t.match(faulty.stderr, /the server has a fault/)
})

t.test('a server without rsync says so', async (t) => {
  if (!tools(t)) return
  const laptop = new Laptop(t)
  const { sessions } = await serving(t, [laptop])
  sessions.path = '/nowhere'
  const refused = await laptop.ssh('x@127.0.0.1', 'rsync --server -ltr . documents')
  t.equal(refused.code, 75)
  t.match(refused.stderr, /cannot run rsync; tell your teacher/)
  t.same(sessions.codes, [null])
})

t.test('those who say nothing, or too much, are shown out', async (t) => {
  if (!tools(t)) return
  const laptop = new Laptop(t)
  const { transport, port } = await serving(t, [laptop], {
    handshake: 2000,
    idle: 2000,
    newcomers: 8,
  })
  const silent = Array.from({ length: 14 }, () => connect(port, '127.0.0.1'))
  const ends = silent.map(
    (socket) =>
      new Promise((resolve) =>
        socket
          .on('error', () => {})
          .once('close', resolve)
          .resume(),
      ),
  )
  await Promise.all(ends)
  t.equal(transport.connections, 0)
  const garbage = connect(port, '127.0.0.1').on('error', () => {})
  const closed = new Promise((resolve) => garbage.once('close', resolve).resume())
  garbage.write(Buffer.alloc(200_000, 'x'))
  await closed
  t.pass('garbage')
  const half = connect(port, '127.0.0.1').on('error', () => {})
  const cut = new Promise((resolve) => half.once('close', resolve).resume())
  half.write('SSH-2.0-x\r\n')
  half.write(createHash('sha512').update('no packet').digest())
  await cut
  t.pass('a packet that is none')
  const idle = await laptop.ssh('-N', 'x@127.0.0.1')
  t.equal(idle.code, 255, 'a connection with nothing to do')
  t.ok(await until(() => transport.connections === 0))
  t.match((await laptop.ssh('x@127.0.0.1', 'id')).stderr, /only rsync/, 'the next is served')
})

t.test('host keys are made once, for this user alone, and a damaged one is not replaced', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'sugar-hostkeys-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  const made = await hostKeys(join(folder, 'ssh'))
  t.equal(made.length, 2)
  t.same(await hostKeys(join(folder, 'ssh')), made)
  t.same(readdirSync(join(folder, 'ssh')).sort(), ['ssh_host_ed25519_key', 'ssh_host_rsa_key'])
  for (const name of readdirSync(join(folder, 'ssh')))
    t.equal(statSync(join(folder, 'ssh', name)).mode & 0o777, 0o600)
  t.equal(statSync(join(folder, 'ssh')).mode & 0o777, 0o700)
  writeFileSync(join(folder, 'ssh', 'ssh_host_rsa_key'), 'nothing')
  await t.rejects(hostKeys(join(folder, 'ssh')), { code: 'DAMAGED' })
})
