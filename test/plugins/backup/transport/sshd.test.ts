import { type ChildProcess, execFile, spawn } from 'node:child_process'
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { connect, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PassThrough } from 'node:stream'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import fc from 'fast-check'
import { pino } from 'pino'
import t, { type Test } from 'tap'
import {
  authorizedKeysLine,
  writeAuthorizedKeys,
} from '../../../../plugins/backup/transport/sshd/authorized-keys.js'
import { doorSocket } from '../../../../plugins/backup/transport/sshd/door-socket.js'
import { type Fields, readLines } from '../../../../plugins/backup/transport/sshd/lines.js'
import { openSshd, type SshdTransport } from '../../../../plugins/backup/transport/sshd/server.js'
import { fileReaders } from '../../../support/backup/hostile-rsync.js'
import { plainSessions, runs, until } from '../../../support/backup/plain-sessions.js'
import { type KeyType, Laptop, run } from '../../../support/backup/ssh-laptop.js'
import { freePort } from '../../../support/free-port.js'
import { lacks, needs } from '../../../support/needs.js'
import { dsaSettings, opensshHasDsa } from '../../../support/openssh.js'

t.setTimeout(300_000)

const program = fileURLToPath(new URL('../../../../core/bin/sugar-server.js', import.meta.url))

/** A server's end of the door, without sshd. */
async function serving(t: Test, laptops: Laptop[] = []) {
  const root = mkdtempSync(join(tmpdir(), 'sugar-door-'))
  mkdirSync(join(root, 'run'))
  const sessions = plainSessions(t)
  const learners = laptops.map(({ uid }) => ({ uid, nickname: 'Ana' }))
  const transport: SshdTransport = await openSshd({
    root,
    program: join(root, 'sugar-server'),
    sessions,
    laptops: {
      byUid: async (uid) => learners.find((learner) => learner.uid === uid),
      byKey: async (blob) => {
        const laptop = laptops.find((one) => one.blob === blob)
        return laptop && { uid: laptop.uid }
      },
    },
    log: pino({ enabled: false }),
  })
  t.teardown(async () => {
    await transport.close()
    rmSync(root, { recursive: true, force: true })
  })
  // What sshd runs, as an installed package would offer it.
  writeFileSync(join(root, 'sugar-server'), `#!/bin/sh\nexec ${process.execPath} ${program} "$@"\n`, {
    mode: 0o755,
  })
  return { root, sessions, transport }
}

const ours = (args: string[], env: Record<string, string> = {}) =>
  run(process.execPath, [program, 'backup', ...args], { env: { PATH: process.env.PATH ?? '', ...env } })

/** A real sshd with a configuration of its own; undefined where that cannot be. */
async function sshd(t: Test, laptops: Laptop[], settings: string[]): Promise<number | undefined> {
  if (!needs(t, 'sshd', 'openssh-server') || !needs(t, 'rsync', 'rsync')) return undefined
  if (process.getuid?.() !== 0) {
    lacks(t, 'needs root', 'sshd with its own configuration runs as root')
    return undefined
  }
  const folder = mkdtempSync(join(tmpdir(), 'sugar-sshd-'))
  // sshd of Debian wants this directory, which its service makes.
  const separation = !existsSync('/run/sshd')
  if (separation) mkdirSync('/run/sshd', { mode: 0o755 })
  const hostKey = new Laptop(t).key
  const port = await freePort()
  const file = join(folder, 'sshd_config')
  writeFileSync(
    file,
    [
      `Port ${port}`,
      'ListenAddress 127.0.0.1',
      `HostKey ${hostKey}`,
      `PidFile ${folder}/pid`,
      'UsePAM no',
      'StrictModes no',
      'PermitRootLogin prohibit-password',
      'PasswordAuthentication no',
      ...dsaSettings,
      'MaxStartups 100:30:300',
      ...settings,
      '',
    ].join('\n'),
  )
  const child = spawn('/usr/sbin/sshd', ['-D', '-e', '-f', file], { stdio: ['ignore', 'ignore', 'pipe'] })
  let said = ''
  child.stderr.on('data', (piece) => {
    said += piece
  })
  t.teardown(async () => {
    child.kill('SIGTERM')
    await until(() => child.exitCode !== null || child.signalCode !== null)
    rmSync(folder, { recursive: true, force: true })
    if (separation) rmSync('/run/sshd', { recursive: true, force: true })
  })
  if (!(await until(() => said.includes('listening')))) throw new Error(`sshd: ${said}`)
  for (const laptop of laptops) laptop.port = port
  return port
}

t.test('over sshd, with a file of keys, a Journal goes there and comes back', async (t) => {
  const laptops = (['ed25519', 'dsa', 'rsa'] satisfies KeyType[]).map((type) => new Laptop(t, type))
  const { root, sessions } = await serving(t, laptops)
  const file = join(root, 'authorized_keys')
  const lines = laptops.map(({ uid, pubkey }) =>
    authorizedKeysLine({ program: join(root, 'sugar-server'), root, uid, pubkey }),
  )
  await writeAuthorizedKeys(file, lines)
  t.equal(statSync(file).mode & 0o777, 0o600)
  if ((await sshd(t, laptops, [`AuthorizedKeysFile ${file}`])) === undefined) return
  for (const laptop of laptops) {
    if (laptop.pubkey.startsWith('ssh-dss ') && !opensshHasDsa) {
      const refused = await laptop.rsync('-r', `${laptop.journal}/`, 'root@127.0.0.1:datastore-current')
      t.match(refused, { code: 255, stderr: /Permission denied \(publickey\)/ }, 'this sshd has no DSA')
      continue
    }
    const sent = await laptop.rsync(
      '-rlptz',
      '--delete',
      `${laptop.journal}/`,
      'root@127.0.0.1:datastore-current',
    )
    t.equal(sent.code, 0, sent.stderr)
    t.equal(
      Laptop.listing(join(sessions.tree(laptop.uid), 'datastore-current')),
      Laptop.listing(laptop.journal),
    )
    const back = join(laptop.folder, 'back')
    const fetched = await laptop.rsync('-rlpt', 'root@127.0.0.1:datastore-current/', `${back}/`)
    t.equal(fetched.code, 0, fetched.stderr)
    t.equal(Laptop.listing(back), Laptop.listing(laptop.journal))
    t.match(sessions.callers.at(-1), {
      uid: laptop.uid,
      nickname: 'Ana',
      address: '127.0.0.1',
      transport: 'sshd',
    })
  }
  t.same([...new Set(sessions.codes)], [0])

  const [laptop] = laptops
  if (laptop === undefined) return
  for (const command of ['id', 'rsync --server -ltr . ../bob', 'rsync --server -ltr . documents;id', '']) {
    const refused = await laptop.ssh('root@127.0.0.1', ...(command === '' ? [] : [command]))
    t.equal(refused.code, 77, command)
    t.match(refused.stderr, /^sugar-server: .+\nsugar-server: .+\n$/)
    t.equal(refused.stdout, '')
  }
  t.not(
    (await laptop.ssh('-o', 'ExitOnForwardFailure=yes', '-N', '-R', '0:127.0.0.1:9', 'root@127.0.0.1')).code,
    0,
  )
  t.not((await laptop.ssh('-W', `127.0.0.1:${laptop.port}`, 'root@127.0.0.1')).code, 0)
  sessions.verdict = () => 75
  t.equal((await laptop.rsync('-r', `${laptop.journal}/`, 'root@127.0.0.1:documents')).code, 75)
  sessions.verdict = undefined

  writeFileSync(join(laptop.journal, 'big'), '')
  truncateSync(join(laptop.journal, 'big'), 2 ** 31)
  const before = sessions.pids.length
  const sent = laptop.rsync(
    '-rlt',
    '--bwlimit=2000',
    `${laptop.journal}/`,
    'root@127.0.0.1:datastore-current',
  )
  t.ok(await until(() => sessions.pids.length > before))
  for (const abort of sessions.aborts) abort.abort(new Error('the disk is nearly full'))
  const { code, stderr } = await sent
  t.not(code, 0)
  t.match(stderr, /sugar-server: the disk is nearly full/)
  t.ok(await until(() => sessions.opened === 0))
})

t.test('over sshd, the server is asked for keys', async (t) => {
  const laptop = new Laptop(t)
  const stranger = new Laptop(t)
  const { root, sessions } = await serving(t, [laptop])
  if (process.getuid?.() !== 0) return void lacks(t, 'needs root', 'sshd trusts only programs of root')
  // All folders above it must be root's alone.
  const folder = mkdtempSync('/var/lib/sugar-server-test-')
  chmodSync(folder, 0o755)
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  const command = join(folder, 'sugar-server')
  writeFileSync(command, `#!/bin/sh\nexec ${process.execPath} ${program} "$@"\n`, { mode: 0o755 })
  const settings = [
    'AuthorizedKeysFile none',
    `AuthorizedKeysCommand ${command} backup keys --root ${root} %t %k`,
    'AuthorizedKeysCommandUser root',
  ]
  if ((await sshd(t, [laptop, stranger], settings)) === undefined) return
  const sent = await laptop.rsync('-rlpt', `${laptop.journal}/`, 'root@127.0.0.1:datastore-current')
  t.equal(sent.code, 0, sent.stderr)
  t.equal(
    Laptop.listing(join(sessions.tree(laptop.uid), 'datastore-current')),
    Laptop.listing(laptop.journal),
  )
  const refused = await stranger.rsync('-r', `${stranger.journal}/`, 'root@127.0.0.1:documents')
  t.not(refused.code, 0)
  t.match(refused.stderr, /Permission denied/)
  t.equal(sessions.callers.length, 1)
})

t.test('a line of authorized_keys is made of a key and nothing else', async (t) => {
  const { uid, pubkey, blob } = new Laptop(t)
  const line = (more: object) =>
    authorizedKeysLine({
      program: '/usr/bin/sugar-server',
      root: '/var/lib/sugar-server',
      uid,
      pubkey,
      ...more,
    })
  t.equal(
    line({}),
    `restrict,command="/usr/bin/sugar-server backup door --root /var/lib/sugar-server ${uid}" ${pubkey}`,
  )
  t.match(line({ root: '/srv/my school' }), `--root '/srv/my school' ${uid}"`)
  for (const wrong of [
    `${pubkey} comment`,
    `${pubkey}\nssh-rsa AAAA`,
    ` ${pubkey}`,
    `command="sh" ${pubkey}`,
    `ssh-rsa ${blob}`,
    blob,
    'ssh-ed25519 ',
    'ssh-ed25519 AAAA',
    '',
  ]) {
    t.throws(() => line({ pubkey: wrong }), TypeError, wrong)
  }
  for (const wrong of ['', '0'.repeat(39), `${'0'.repeat(40)}\n`, `${'0'.repeat(39)}"`]) {
    t.throws(() => line({ uid: wrong }), TypeError)
  }
  for (const wrong of ['/a"b', "/a'b", '/a\nb', '/a\\b']) {
    t.throws(() => line({ root: wrong }), { code: 'NOT_WRITABLE' })
    t.throws(() => line({ program: wrong }), { code: 'NOT_WRITABLE' })
  }
})

t.test('the door says in words what is wrong with it', async (t) => {
  const laptop = new Laptop(t)
  const empty = mkdtempSync(join(tmpdir(), 'sugar-door-'))
  t.teardown(() => rmSync(empty, { recursive: true, force: true }))
  for (const args of [
    ['door', '--root', empty, laptop.uid],
    ['keys', '--root', empty, 'ssh-ed25519', laptop.blob],
  ]) {
    const nobody = await ours(args)
    t.equal(nobody.code, 75)
    t.match(nobody.stderr, /^sugar-server: no server runs in .+\nsugar-server: try again later\n$/)
    t.equal(nobody.stdout, '')
  }
  for (const args of [
    ['door'],
    ['door', laptop.uid],
    ['keys', '--root', empty],
    ['door', '--root', empty, 'x', 'y'],
  ]) {
    const usage = await ours(args)
    t.equal(usage.code, 64)
    t.match(usage.stderr, /usage: sugar-server backup (door|keys) --root ROOT/)
  }
  const { root } = await serving(t, [laptop])
  const unknown = await ours(['door', '--root', root, '0'.repeat(40)], { SSH_ORIGINAL_COMMAND: 'rsync' })
  t.equal(unknown.code, 77)
  t.match(unknown.stderr, /this laptop is not registered/)
  t.equal(
    (await ours(['keys', '--root', root, 'ssh-ed25519', laptop.blob])).stdout.split(' ')[0],
    `restrict,command="${root}/sugar-server`,
  )
  for (const [type, blob] of [
    ['ssh-ed25519', `${laptop.blob.slice(0, -4)}AAAA`],
    ['ssh-rsa', laptop.blob],
    ['command="sh"', laptop.blob],
  ]) {
    const nobody = await ours(['keys', '--root', root, type ?? '', blob ?? ''])
    t.equal(nobody.code, 0)
    t.equal(nobody.stdout, '')
  }
})

t.test(
  'the door is light: what sshd starts for each laptop loads no plugin, no store and no web server',
  async (t) => {
    const { root } = await serving(t)
    const hook = join(root, 'hook.mjs')
    writeFileSync(
      hook,
      `export async function load(url, context, next) { process._rawDebug(url); return next(url, context) }`,
    )
    const register = `data:text/javascript,import { register } from 'node:module'; register('file://${hook}')`
    const { stderr } = await run(process.execPath, [
      '--import',
      register,
      program,
      'backup',
      'keys',
      '--root',
      root,
      'a',
      'b',
    ])
    const loaded = stderr.split('\n').filter((url) => url.startsWith('file:'))
    t.ok(loaded.some((url) => url.endsWith('doors/keys.js')))
    t.ok(loaded.length < 12, loaded.join('\n'))
    t.notOk(loaded.some((url) => url.includes('node_modules')))
  },
)

/** Starts a door by itself, with rsync's client played by nobody: rsync waits for its greeting. */
function door(root: string, uid: string, command = 'rsync --server -ltr . documents') {
  return spawn(process.execPath, [program, 'backup', 'door', '--root', root, uid], {
    env: {
      PATH: process.env.PATH ?? '',
      SSH_ORIGINAL_COMMAND: command,
      SSH_CONNECTION: '10.0.0.9 1 10.0.0.1 22',
    },
    stdio: ['pipe', 'pipe', 'pipe'],
  })
}

t.test('whoever dies, the others end and the session is given back', async (t) => {
  if (!needs(t, 'rsync', 'rsync')) return
  const laptop = new Laptop(t)
  const { root, sessions, transport } = await serving(t, [laptop])
  const gone = (child: ChildProcess) => until(() => child.exitCode !== null || child.signalCode !== null)

  const killed = door(root, laptop.uid)
  t.ok(await until(() => sessions.pids.length === 1))
  t.equal(sessions.callers[0]?.address, '10.0.0.9')
  killed.kill('SIGKILL')
  t.ok(await until(() => sessions.opened === 0), 'the door was killed')
  t.notOk(runs(sessions.pids[0] ?? 0))
  t.equal(sessions.codes.at(-1), null)

  const bare = door(root, laptop.uid)
  t.ok(await until(() => sessions.pids.length === 2))
  process.kill(sessions.pids[1] ?? 0, 'SIGKILL')
  t.ok(await gone(bare), 'rsync was killed')
  t.equal(sessions.codes.at(-1), null)
  t.equal(bare.exitCode, 75)

  const asked = door(root, laptop.uid)
  t.ok(await until(() => sessions.pids.length === 3))
  asked.kill('SIGTERM')
  t.ok(await gone(asked), 'the door was asked to end')
  t.notOk(runs(sessions.pids[2] ?? 0))
  t.equal(sessions.opened, 0)

  const hungUp = door(root, laptop.uid)
  t.ok(await until(() => sessions.pids.length === 4))
  hungUp.stdin?.end()
  t.ok(await gone(hungUp), 'the laptop hung up')
  t.not(hungUp.exitCode, 0)
  t.not(sessions.codes.at(-1), null)

  sessions.wait = new Promise(() => {})
  const asks = sessions.commands.length
  const unheard = door(root, laptop.uid)
  t.ok(await until(() => sessions.commands.length > asks))
  unheard.kill('SIGHUP')
  t.ok(await gone(unheard), 'one that waited for its turn was asked to end')
  const { PATH = '' } = process.env
  const env = { PATH, SSH_ORIGINAL_COMMAND: 'rsync --server -ltr . documents', SSH_CONNECTION: '' }
  const line = [process.execPath, program, 'backup', 'door', '--root', root, laptop.uid]
  const sshd = spawn('sh', ['-c', '"$@" & wait', 'sh', ...line], { env, stdio: 'ignore' })
  t.ok(await until(() => sessions.commands.length > asks + 1))
  sshd.kill('SIGKILL')
  t.ok(await until(() => sessions.left === 2), 'the laptop of one that waited hung up')
  sessions.wait = undefined

  const left = door(root, laptop.uid)
  let words = ''
  left.stderr?.on('data', (piece) => {
    words += piece
  })
  t.ok(await until(() => sessions.pids.length === 5))
  await transport.close()
  t.equal(sessions.opened, 0)
  t.ok(await gone(left), 'the server stopped')
  t.notOk(runs(sessions.pids[4] ?? 0))
  t.equal(left.exitCode, 75)
  t.match(words, /the server has stopped\nsugar-server: try again later/)
})

t.test('rules that a client sends do not read files of the server to it', async (t) => {
  if (!needs(t, 'rsync', 'rsync')) return
  const laptop = new Laptop(t)
  const { root, sessions } = await serving(t, [laptop])
  const secret = join(laptop.folder, 'secret')
  writeFileSync(secret, 'very-secret\nvery-secret too\n')
  const replies = fileReaders(secret).map((client) => client.talk(door(root, laptop.uid, client.command)))
  for (const { told, client } of await Promise.all(replies)) {
    t.notMatch(told, /very-secret/, client)
    t.match(
      told,
      /sugar-server: the filter rule ".+ is refused: it has the server read a file of rules/,
      client,
    )
  }
  t.equal(sessions.codes.length, replies.length)
  t.equal(sessions.refused.length, replies.length)
})

t.test('lines are read whole, or not at all', async (t) => {
  const piece = fc.oneof(fc.string(), fc.json(), fc.constantFrom('\n', '{}\n', '{"exit":1}\n', '[]\n', '{'))
  const holds = fc.assert(
    fc.asyncProperty(fc.array(piece), async (pieces) => {
      const stream = new PassThrough()
      const heard: Fields[] = []
      let garbled = 0
      readLines(
        stream,
        (fields) => heard.push(fields),
        () => {
          garbled += 1
        },
      )
      for (const one of pieces) stream.write(one)
      stream.end()
      await new Promise((resolve) => setImmediate(resolve))
      const objects = heard.every((fields) => typeof fields === 'object' && !Array.isArray(fields))
      return objects && garbled <= 1
    }),
  )
  await t.resolves(holds)
})

t.test('what is no door is cut off, and the server bears it', async (t) => {
  const laptop = new Laptop(t)
  const { root, sessions, transport } = await serving(t, [laptop])
  t.equal(statSync(doorSocket(root)).mode & 0o777, 0o600)
  const answer = (...lines: string[]) =>
    new Promise<string>((resolve) => {
      let said = ''
      const socket: Socket = connect(doorSocket(root))
      socket.on('error', () => {})
      socket.on('data', (piece) => {
        said += piece
      })
      socket.once('close', () => resolve(said))
      for (const line of lines) socket.write(line)
    })
  for (const garbled of ['x\n', '[]\n', 'null\n', '"x"\n', 'x'.repeat(100_000)])
    t.equal(await answer(garbled), '')
  for (const wrong of ['{}\n', '{"uid":1,"command":"x","address":"x"}\n', '{"uid":"x"}\n'])
    t.match(await answer(wrong), /garbled/)
  const ask = JSON.stringify({ uid: laptop.uid, command: 'rsync --server -ltr . documents', address: '' })
  for (const next of ['{"started":"1"}', '{"ended":-1}', '{"started":1}', '{}', '{"ended":1.5}']) {
    t.match(await answer(`${ask}\n`, `${next}\n`), /args/)
  }
  t.match(await answer(`${ask}\n`, '{"ended":3}\n'), /\{"exit":3\}/)
  t.ok(await until(() => sessions.opened === 0))
  t.same([...sessions.codes].sort(), [3, null, null, null, null, null])
  t.ok(await until(() => transport.connections === 0))
  t.same(readdirSync(join(root, 'run')), ['backup-door.sock'])
})

t.test('the settings for sshd that come with the package are ones that sshd takes', async (t) => {
  if (!needs(t, 'sshd', 'openssh-server')) return
  const folder = mkdtempSync(join(tmpdir(), 'sugar-sshd-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  const hostKey = new Laptop(t).key
  const snippet = fileURLToPath(new URL('../../../../../config/sshd/sugar-server.conf', import.meta.url))
  const config = join(folder, 'sshd_config')
  writeFileSync(config, `HostKey ${hostKey}\n${readFileSync(snippet, 'utf8')}`)
  const separation = !existsSync('/run/sshd')
  if (separation && process.getuid?.() !== 0)
    return void lacks(t, 'needs /run/sshd', 'the service of sshd makes it')
  if (separation) mkdirSync('/run/sshd', { mode: 0o755 })
  t.teardown(() => separation && rmSync('/run/sshd', { recursive: true, force: true }))
  const penalties = readFileSync(
    fileURLToPath(new URL('../../../../../config/sshd/sugar-server-penalties.conf', import.meta.url)),
    'utf8',
  )
  const withPenalties = join(folder, 'with-penalties')
  writeFileSync(withPenalties, `HostKey ${hostKey}\n${penalties}`)
  const newer = await run('/usr/sbin/sshd', ['-T', '-f', withPenalties])
  const [, major = 0, minor = 0] = /OpenSSH_(\d+)\.(\d+)/.exec((await run('ssh', ['-V'])).stderr) ?? []
  if (Number(major) * 100 + Number(minor) >= 908) t.match(newer.stdout, /^persourcepenalties no$/m)
  else t.match(newer.stderr, /Bad configuration option: PerSourcePenalties/, 'an older one says so')
  const about = ['-C', 'user=sugar-server,host=laptop,addr=10.0.0.9']
  const { stdout } = await promisify(execFile)('/usr/sbin/sshd', ['-T', '-f', config, ...about])
  t.match(stdout, /^permittty no$/m)
  t.match(stdout, /^disableforwarding yes$/m)
  t.match(stdout, /^maxstartups 100:30:300$/m)
  t.match(stdout, /^persourcemaxstartups 64$/m)
  t.match(stdout, /^persourcenetblocksize 32:64$/m)
  t.match(stdout, /^logingracetime 30$/m)
  t.match(
    stdout,
    /^authorizedkeyscommand \/usr\/bin\/sugar-server backup keys --root \/var\/lib\/sugar-server %t %k$/m,
  )
  t.equal(/^pubkeyacceptedalgorithms .*ssh-dss/m.test(stdout), opensshHasDsa, 'DSA where this OpenSSH has it')
})
