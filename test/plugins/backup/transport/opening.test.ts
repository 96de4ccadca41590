import { spawnSync } from 'node:child_process'
import { generateKeyPairSync } from 'node:crypto'
import { connect, type Socket } from 'node:net'
import { join } from 'node:path'
import { setImmediate as turn } from 'node:timers/promises'
import fc from 'fast-check'
import t from 'tap'
import { parseOpening } from '../../../../plugins/backup/transport/ssh2/opening.js'
import { until } from '../../../support/backup/plain-sessions.js'
import { Laptop, run } from '../../../support/backup/ssh-laptop.js'
import { serving, tools } from '../../../support/backup/ssh2-server.js'
import { needs } from '../../../support/needs.js'
import { runs } from '../../../support/rounds.js'

const identification = 'SSH-2.0-sugar-server\r\n'
const gcm = ['aes128-gcm@openssh.com', 'aes256-gcm@openssh.com']
const everything = [...gcm, 'aes128-ctr', 'aes192-ctr', 'aes256-ctr', 'aes128-cbc', '3des-cbc']

/** What a client says first. */
function opening(
  line: string,
  sending: readonly string[],
  getting = sending,
  { guess = false, hostKey = ['ssh-ed25519'] } = {},
): Buffer {
  const [keyExchange, hash, none] = [['curve25519-sha256'], ['hmac-sha1'], ['none']]
  const names = [keyExchange, hostKey, sending, getting, hash, hash, none, none, [], []].flatMap((list) => {
    const length = Buffer.alloc(4)
    length.writeUInt32BE(list.join(',').length)
    return [length, Buffer.from(list.join(','))]
  })
  const content = Buffer.concat([
    Buffer.from([20]),
    Buffer.alloc(16, 'c'),
    ...names,
    Buffer.from([Number(guess), 0, 0, 0, 0]),
  ])
  return Buffer.concat([Buffer.from(`${line}\r\n`), packet(content)])
}

/** A packet in the clear. */
function packet(content: Buffer): Buffer {
  const padding = 4 + ((8 - ((content.length + 9) % 8)) % 8)
  const head = Buffer.alloc(5)
  head.writeUInt32BE(1 + content.length + padding)
  head.writeUInt8(padding, 4)
  return Buffer.concat([head, content, Buffer.alloc(padding)])
}

/** The client's part of a key exchange by curve25519. */
function ownPart(): Buffer {
  const key = generateKeyPairSync('x25519').publicKey.export({ format: 'der', type: 'spki' }).subarray(-32)
  return packet(Buffer.concat([Buffer.from([30, 0, 0, 0, 32]), key]))
}

/** The kinds of the packets in the clear that a server has sent behind its line. */
function kinds(heard: Buffer): number[] {
  const found: number[] = []
  for (let at = heard.indexOf('\n') + 1; at > 0 && at + 6 <= heard.length; at += 4 + heard.readUInt32BE(at)) {
    found.push(heard.readUInt8(at + 5))
    // New keys: what follows is encrypted.
    if (found.at(-1) === 21) break
  }
  return found
}

/** A client that is no ssh. */
class Stranger {
  readonly socket: Socket
  heard = Buffer.alloc(0)
  isGone = false

  constructor(port: number) {
    this.socket = connect({ host: '127.0.0.1', port, noDelay: true })
    this.socket.on('data', (piece) => {
      this.heard = Buffer.concat([this.heard, piece])
    })
    this.socket
      .on('error', () => undefined)
      .on('close', () => {
        this.isGone = true
      })
  }

  /** The ciphers that the server offers. */
  async offered(): Promise<readonly string[]> {
    const parsed = () => parseOpening(this.heard)
    await until(() => parsed() !== undefined || this.isGone)
    const offer = parsed()
    return typeof offer === 'object' ? offer.sending : []
  }
}

t.test('the ciphers of a client are read from whatever pieces they come in', async (t) => {
  const name = fc.stringMatching(/^[a-z0-9@.-]{1,20}$/)
  const names = fc.array(name, { minLength: 1, maxLength: 8 })
  fc.assert(
    fc.property(
      fc.stringMatching(/^SSH-[ -~]{0,240}$/),
      names,
      names,
      fc.nat(),
      fc.boolean(),
      (line, sending, getting, at, guess) => {
        const whole = opening(line, sending, getting, { guess })
        const part = whole.subarray(0, at % whole.length)
        t.equal(parseOpening(part), undefined)
        t.same(parseOpening(Buffer.concat([whole, Buffer.from('and more')])), {
          software: line.slice(4).trimEnd(),
          ...{ kex: ['curve25519-sha256'], hostKeys: ['ssh-ed25519'], sending, getting, hasGuessed: guess },
        })
      },
    ),
    runs(50),
  )
})

t.test('whatever a client says, it is decided within nine thousand bytes', async (t) => {
  const line = fc.constantFrom('', 'SSH-2.0-x\r\n', 'SSH-', 'SSH-2.0-x\r\n\0\0\x01\0\x07\x14')
  fc.assert(
    fc.property(line, fc.uint8Array({ maxLength: 400 }), fc.nat(255), (start, bytes, fill) => {
      const said = Buffer.concat([Buffer.from(start, 'latin1'), bytes])
      parseOpening(said)
      return parseOpening(Buffer.concat([said, Buffer.alloc(9000, fill)])) !== undefined
    }),
  )
  const whole = opening('SSH-2.0-x', gcm)
  fc.assert(
    fc.property(fc.nat(whole.length - 1), fc.nat(255), (at, value) => {
      const broken = Buffer.from(whole)
      broken[at] = value
      parseOpening(broken)
    }),
  )
  t.equal(parseOpening(Buffer.alloc(254, 'SSH-2.0-')), undefined)
  t.equal(parseOpening(Buffer.alloc(255, 'SSH-2.0-')), 'none')
  t.equal(parseOpening(Buffer.from('GET / HTTP/1.1\r\n')), 'none')
})

t.test(
  'an OpenSSH of today gets the cheap cipher, and any other that it insists on at its first try',
  async (t) => {
    if (!tools(t)) return
    const laptop = new Laptop(t)
    const { sessions } = await serving(t, [laptop])
    const usual = await laptop.ssh('-v', 'x@127.0.0.1', 'id')
    for (const way of ['server->client', 'client->server'])
      t.match(usual.stderr, `kex: ${way} cipher: aes128-gcm@openssh.com`)
    t.equal(usual.code, 77)
    for (const cipher of everything) {
      const { stderr, code } = await laptop.ssh('-v', '-o', `Ciphers=${cipher}`, 'x@127.0.0.1', 'id')
      t.match(stderr, `kex: server->client cipher: ${cipher}`)
      t.equal(code, 77, cipher)
    }
    t.equal(sessions.callers.length, 1 + everything.length)
    const options = ['-p', String(laptop.port), '-o', 'RekeyLimit=16K']
    const sent = await laptop.rsyncVia(options, '-r', `${laptop.journal}/`, 'x@127.0.0.1:documents')
    t.equal(sent.code, 0, `keys that change in the middle: ${sent.stderr}`)
  },
)

t.test('who has no cheap cipher for both ways is offered everything', async (t) => {
  const { port } = await serving(t, [])
  const ciphers: [string[], string[]][] = [
    [['aes128-ctr', 'aes128-cbc'], ['aes128-ctr']],
    [gcm, ['aes128-ctr']],
    [['aes128-ctr'], gcm],
  ]
  for (const [sending, getting] of ciphers) {
    const old = new Stranger(port)
    // It says nothing before it has heard who is there.
    t.ok(await until(() => old.heard.equals(Buffer.from(identification))))
    old.socket.write(opening('SSH-2.0-OpenSSH_5.8', sending, getting))
    t.same(await old.offered(), everything)
    old.socket.destroy()
  }
  const modern = new Stranger(port)
  modern.socket.write(opening('SSH-2.0-OpenSSH_9.2p1 Debian-2', ['aes128-ctr', ...gcm]))
  t.same(await modern.offered(), gcm)
  t.equal(modern.heard.indexOf(identification, 1), -1, 'the line is said once')
  modern.socket.destroy()
})

t.test('a client that speaks byte by byte is understood, and one that stops is not waited for', async (t) => {
  const { port, transport } = await serving(t, [])
  const slow = new Stranger(port)
  for (const byte of opening('SSH-2.0-OpenSSH_9.2p1', gcm)) {
    slow.socket.write(Buffer.from([byte]))
    await turn()
  }
  t.same(await slow.offered(), gcm)
  const half = new Stranger(port)
  half.socket.write('SSH-2.0-OpenSSH_9.2p1\r\n')
  t.same(await half.offered(), everything)
  for (const { socket } of [slow, half]) socket.destroy()
  t.ok(await until(() => transport.connections === 0))
})

t.test('those who say nothing, no line, or hang up in the middle of it leave nothing behind', async (t) => {
  const { port, transport } = await serving(t, [], { handshake: 300 })
  const silent = new Stranger(port)
  const loud = new Stranger(port)
  loud.socket.write(Buffer.alloc(10_240, 'x'))
  const short = new Stranger(port)
  short.socket.end('SSH-2.0-Open')
  const whole = new Stranger(port)
  whole.socket.end(opening('SSH-2.0-OpenSSH_9.2p1', gcm))
  for (const stranger of [silent, loud, short, whole]) t.ok(await until(() => stranger.isGone))
  t.equal(silent.heard.toString(), identification)
  t.equal(loud.heard.toString(), identification)
  t.ok(await until(() => transport.connections === 0))
})

t.test(
  'a client that goes on with its key exchange on a guess is answered, whether or not it is right',
  async (t) => {
    const { port } = await serving(t, [])
    const right = new Stranger(port)
    right.socket.write(
      Buffer.concat([opening('SSH-2.0-x', ['aes128-ctr'], undefined, { guess: true }), ownPart()]),
    )
    t.ok(await until(() => kinds(right.heard).includes(21)))
    t.same(kinds(right.heard), [20, 31, 21], 'names, the part of the server, new keys')
    const wrong = new Stranger(port)
    const hostKey = ['ecdsa-sha2-nistp256', 'ssh-ed25519']
    wrong.socket.write(
      Buffer.concat([opening('SSH-2.0-x', ['aes128-ctr'], undefined, { guess: true, hostKey }), ownPart()]),
    )
    t.ok(await until(() => kinds(wrong.heard).includes(20)))
    wrong.socket.write(ownPart())
    t.ok(await until(() => kinds(wrong.heard).includes(21)))
    t.same(kinds(wrong.heard), [20, 31, 21], 'what it sent on its guess is left out')
    for (const { socket } of [right, wrong]) socket.destroy()
  },
)

t.test('dropbear, which guesses, gets in', async (t) => {
  if (!tools(t) || !needs(t, 'dbclient', 'dropbear-bin')) return
  const laptop = new Laptop(t)
  const { sessions } = await serving(t, [laptop])
  const key = join(laptop.folder, 'dropbear.key')
  t.equal(spawnSync('dropbearconvert', ['openssh', 'dropbear', laptop.key, key]).status, 0)
  const options = ['-y', '-y', '-p', String(laptop.port), '-i', key]
  const env = { ...process.env, HOME: laptop.folder }
  const { code, stderr } = await run('dbclient', [...options, 'x@127.0.0.1', 'id'], { env })
  t.equal(code, 77, stderr)
  t.equal(sessions.callers.length, 1)
})
