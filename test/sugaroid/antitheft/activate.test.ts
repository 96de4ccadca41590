import { readdir, readFile, writeFile } from 'node:fs/promises'
import type { Socket } from 'node:net'
import { join } from 'node:path'
import { type Test, test } from 'tap'
import { main } from '../../../sugaroid/command.js'
import { askForLease, identifiers } from '../../../sugaroid/index.js'
import { now, serial, sig01, uuid, vector, vectorPath } from '../../support/sugaroid/antitheft-vectors.js'
import { type Finished, sugaroid } from '../../support/sugaroid/fake-servers.js'
import { type LeaseServer, leaseServer } from '../../support/sugaroid/lease-server.js'
import { temporaryDirectory } from '../../support/temporary-directory.js'

const key = vectorPath('keys/lease.public')

const gives =
  (answer: string | Buffer) =>
  (socket: Socket): void =>
    void socket.end(answer)

/** The home of an XO, the laptop of the vectors. */
async function xo(t: Test): Promise<string> {
  const home = await temporaryDirectory(t)
  await identifiers(home, { serial, uuid })
  return home
}

/** What `sugaroid` does, without a process: for tables of many runs. */
async function within(...args: string[]): Promise<Finished> {
  const said = { out: '', err: '' }
  const code = await main(args, {
    print: (line) => {
      said.out += `${line}\n`
    },
    warn: (line) => {
      said.err += `${line}\n`
    },
    passing: () => undefined,
  })
  return { code, ...said }
}

/** Runs `sugaroid activate` as that laptop; its uuid is never said. */
async function activate(t: Test, server: LeaseServer | string, ...args: string[]): Promise<Finished> {
  const at = typeof server === 'string' ? server : `${server.host}:${server.port}`
  const ran = await sugaroid('activate', '--server', at, '--home', await xo(t), '--at', now, ...args)
  t.notMatch(ran.out + ran.err, uuid, 'the uuid is a secret')
  return ran
}

test('a laptop sends its serial, closes its half, and starts with a good lease', async (t) => {
  const school = await leaseServer(t, gives(vector('leases/v1.sig')))
  t.match(await activate(t, school, '--key', key), {
    code: 0,
    out: /^The laptop starts\.\n.*serial +SHC94700123\n.*expires +20300101T000000Z\n.*because +signed with the key 6c4d/s,
    err: '',
  })
  t.same(school.questions, [serial], '11 bytes and no newline')
})

test('what counts is when the first link of the chain runs out', async (t) => {
  const school = await leaseServer(t, gives(vector('leases/chain2.sig')))
  const { code, out } = await activate(t, school, '--key', key, '--json')
  t.equal(code, 0)
  t.match(JSON.parse(out), {
    outcome: 'activated',
    verdict: /^valid$/,
    serial,
    server: { port: school.port },
    expiry: '20290601T000000Z',
    reason: /through 2 delegations/,
    text: vector('leases/chain2.sig').toString(),
  })
  const late = await leaseServer(t, gives(vector('leases/chain2.sig')))
  t.match(await activate(t, late, '--key', key, '--at', '20290601T000001Z'), {
    code: 76,
    out: /ran out at 2029/,
  })
})

test('without a key it shows the answer and says that nobody checked it', async (t) => {
  const school = await leaseServer(t, gives(vector('leases/v1.sig')))
  t.match(await activate(t, school), {
    code: 0,
    out: /^The server answered; .* not checked\.\n.*answer +act01: SHC94700123 K 2030/s,
    err: /--key/,
  })
  t.match(JSON.parse((await activate(t, school, '--json')).out), { outcome: 'unchecked', text: /^act01: / })
})

test('keys may be several, raw or as text', async (t) => {
  const school = await leaseServer(t, gives(vector('leases/v1.sig')))
  const several = `${vectorPath('keys/rogue.public')},${vectorPath('keys/lease.key01')}`
  t.match(await activate(t, school, '--key', several), { code: 0, out: /The laptop starts/ })
})

test('a stolen laptop and an unknown one do not start, and each is told apart', async (t) => {
  const stolen = await leaseServer(t, gives('STOLEN'))
  t.match(await activate(t, stolen, '--key', key), {
    code: 77,
    out: /is stolen: it locks itself/,
    err: /list/,
  })
  const silent = await leaseServer(t, gives(''))
  t.match(await activate(t, silent, '--key', key), {
    code: 77,
    out: /has nothing for this laptop/,
    err: /serial/,
  })
  t.match(JSON.parse((await activate(t, stolen, '--json')).out), { outcome: 'stolen' })
  t.match(JSON.parse((await activate(t, silent, '--json')).out), { outcome: 'unknown' })
  const newline = await leaseServer(t, gives('STOLEN\n'))
  t.match(await activate(t, newline, '--key', key), { code: 76, out: /begin with 'act01: '/ }, 'to the byte')
})

test('a lease that a laptop refuses is refused with the reason', async (t) => {
  const whole = vector('leases/v1.sig')
  const refused: Record<string, [Buffer | string, RegExp]> = {
    'it ran out': [vector('leases/v1-expired.sig'), /verdict +invalid\n +because +line 1: the lease ran out/],
    'an unknown key signed it': [
      vector('leases/v1-rogue.sig'),
      /verdict +no-match\n +because +.*not know the key/,
    ],
    'it was changed': [vector('tampered/v1-sig-bitflip.sig'), /does not fit/],
    'a blank line comes first': [vector('tampered/v1-leading-blank-line.sig'), /line 1 does not begin/],
    'it is a bundle': [vector('cjson/leases.cjson'), /line 1 does not begin/],
    'it is for others': [String(whole).replace(serial, 'SHC00000000'), /no line in it is for SHC94700123/],
    'the line is cut': [whole.subarray(0, 300), /not written as act01/],
    'it is a web page': ['HTTP/1.1 400 Bad Request\r\n\r\n', /line 1 does not begin/],
  }
  const at = ['--home', await xo(t), '--at', now, '--key', key]
  for (const [name, [answer, out]] of Object.entries(refused)) {
    const school = await leaseServer(t, gives(answer))
    const ran = await within('activate', '--server', `127.0.0.1:${school.port}`, ...at)
    t.match(ran, { code: 76, out, err: /--save/ }, name)
    t.notMatch(ran.out + ran.err, uuid, 'the uuid is a secret')
  }
})

test('an answer without end is read to 64 KiB and no further', async (t) => {
  const flood = await leaseServer(t, gives(Buffer.alloc(1_000_000, 'act01: ')))
  t.match(await activate(t, flood, '--key', key), { code: 76, out: /longer than 65536 bytes/ })
  const long = await leaseServer(t, gives(Buffer.alloc(65_536, 'x')))
  t.match(await activate(t, long, '--key', key), { code: 76, out: /line 1 is longer than the 8191 bytes/ })
  const binary = await leaseServer(t, gives(Buffer.from([0x61, 0xff, 0xfe])))
  t.match(await activate(t, binary, '--key', key), { code: 76, out: /byte 1 of the answer is no ASCII/ })
})

test('a server that never answers, dawdles or is not there is given up on', async (t) => {
  const never = await leaseServer(t, () => undefined)
  const dripping = await leaseServer(t, (socket) => {
    const timer = setInterval(() => socket.write('a'), 20)
    socket.on('close', () => clearInterval(timer))
  })
  for (const school of [never, dripping]) {
    t.match(await activate(t, school, '--key', key, '--timeout', '0.4'), {
      code: 69,
      out: /does not answer.*no reply within 0\.4 s/s,
    })
  }
  t.match(await activate(t, '127.0.0.1:1', '--key', key), { code: 69, out: /ECONNREFUSED/, err: /port 191/ })
})

test('a caller who calls it off gets her own reason back', async (t) => {
  const stop = new AbortController()
  const server = await leaseServer(t, () => stop.abort(new Error('the bell rang')))
  await t.rejects(askForLease(serial, { server, signal: stop.signal }), { message: 'the bell rang' })
})

test('a laptop that has lost the time asks for it, and takes only the answer to its own question', async (t) => {
  const clock = '19700101T000512Z'
  let nonce = ''
  const school = await leaseServer(t, (socket, question) => {
    const [word, sn, time, count = ''] = question.split(' ')
    t.same([word, sn, time], ['rtcreset', serial, clock])
    t.match(count, /^\d{10}$/)
    nonce ||= count
    const content = `${serial}:${uuid}:${clock}:${nonce}:${now}`
    socket.end(`rtc01: ${serial} ${clock} ${nonce} ${now} ${sig01('lease', content)}`)
  })
  const reset = () => activate(t, school, '--key', key, '--rtcreset', '--at', clock, '--json')
  const first = await reset()
  t.equal(first.code, 0)
  t.match(JSON.parse(first.out), { outcome: 'activated', time: now, verdict: /^valid$/ })
  const second = await reset()
  t.equal(second.code, 76, 'the same answer again is of no use')
  t.match(JSON.parse(second.out), { outcome: 'refused', reason: /its nonce is/ })
  const lease = await leaseServer(t, gives(vector('leases/v1.sig')))
  t.match(await activate(t, lease, '--key', key, '--rtcreset'), { code: 76, out: /begin with 'rtc01: '/ })
})

test('--save keeps the answer as a stick has it', async (t) => {
  const folder = await temporaryDirectory(t)
  const school = await leaseServer(t, gives(vector('leases/v1.sig')))
  t.match(await activate(t, school, '--save', join(folder, 'lease.sig')), { code: 0 })
  t.same(await readFile(join(folder, 'lease.sig')), vector('leases/v1.sig'))
  const lost = join(folder, 'lease.sig', 'lease.sig')
  t.match(await activate(t, school, '--save', lost), { code: 74, err: /cannot be kept: .*\n {2}.*--save/ })
  const stolen = await leaseServer(t, gives('STOLEN'))
  await activate(t, stolen, '--save', join(folder, 'stolen.sig'))
  t.same(await readdir(folder), ['lease.sig'], 'and nothing when there is none')
})

test('which laptop it is can be said on the command line', async (t) => {
  const empty = await temporaryDirectory(t)
  const school = await leaseServer(t, gives(vector('leases/v1.sig')))
  const at = ['--server', `127.0.0.1:${school.port}`, '--at', now, '--home', empty]
  const named = await sugaroid('activate', ...at, '--serial', serial, '--uuid', uuid, '--key', key)
  t.match(named, { code: 0, out: /The laptop starts/ })
  const wrong = await sugaroid(
    'activate',
    ...at,
    '--serial',
    serial,
    '--uuid',
    uuid.toLowerCase(),
    '--key',
    key,
  )
  t.match(wrong, { code: 76, out: /does not fit/ }, 'a uuid counts to the letter')
  t.match(await sugaroid('activate', ...at, '--serial', serial), { code: 0, out: /not checked/ })
  t.same(await readdir(empty), [], 'and nothing is made')
})

test('a mistake on the command line is met with what to write', async (t) => {
  const folder = await temporaryDirectory(t)
  await writeFile(join(folder, 'short'), vector('keys/lease.public').subarray(1))
  const me = ['--serial', serial]
  const mistakes: [string[], number, RegExp][] = [
    [[], 74, /is no XO.*\n {2}write --serial SN/],
    [['--serial', 'shc94700123'], 64, /'shc94700123' is no serial\n {2}write 3 capital letters/],
    [['--serial', `${serial}\n`], 64, /is no serial/],
    [[...me, '--at', '20270230T000000Z'], 64, /is no time\n {2}write YYYYMMDD/],
    [[...me, '--at', 'tomorrow'], 64, /'tomorrow' is no time/],
    [[...me, '--timeout', '0'], 64, /--timeout '0' is out of bounds/],
    [[...me, '--server', 'http://school/'], 64, /is not a server/],
    [[...me, '--key', key], 64, /without the uuid of SHC94700123\n {2}write --uuid/],
    [[...me, '--key', key, '--uuid', 'short'], 64, /has not the form/],
    [[...me, '--key', join(folder, 'none')], 64, /cannot be read: ENOENT/],
    [[...me, '--key', join(folder, 'short')], 64, /is no public key of anti-theft\n {2}.*270 bytes/],
    [[...me, '--key', vectorPath('keys/lease.private')], 64, /is no public key of anti-theft/],
    [[...me, '--key', '/dev/zero'], 64, /is no public key of anti-theft/],
  ]
  for (const [args, code, err] of mistakes) {
    const ran = await within('activate', '--server', '127.0.0.1:1', '--home', folder, ...args)
    t.match(ran, { code, out: '', err }, args.join(' '))
  }
})
