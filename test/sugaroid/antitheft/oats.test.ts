import { type Test, test } from 'tap'
import { askOats, checkOats, identifiers, readOats } from '../../../sugaroid/index.js'
import {
  laptop,
  now,
  serial,
  sig01,
  sig02,
  uuid,
  vector,
  vectorPath,
} from '../../support/sugaroid/antitheft-vectors.js'
import {
  canned,
  type Finished,
  type Peer,
  peer,
  reply,
  sugaroid,
} from '../../support/sugaroid/fake-servers.js'
import { temporaryDirectory } from '../../support/temporary-directory.js'

const key = vectorPath('keys/oats.public')
const leaseKey = vectorPath('keys/lease.public')
const time = '20270101T000500Z'

/** An answer as servers write it; `more` are members that sort behind `nonce`'s, each with its comma in front. */
function answerTo(
  nonce: string,
  { before = '', after = '', sign = (text: string) => sig01('oats', text) } = {},
) {
  const inner = `["oatc-resp",1,{${before}"nonce":"${nonce}"${after},"time":"${time}"}]`
  return `["oatc-signed-resp",1,[${inner},["sig",1,["${sign(inner)}"]]]]`
}

const head = 'HTTP/1.1 200 OK\r\nContent-Type: application/json'

/** A server that answers with what `make` makes of the nonce. */
async function school(t: Test, make: (nonce: string) => string): Promise<Peer> {
  const at: Peer = await peer(t, (socket, number) => {
    const [, nonce = ''] = /nonce=(\w+)$/.exec(at.requests[number - 1] ?? '') ?? []
    socket.end(reply(make(nonce), head))
  })
  return at
}

async function oats(
  t: Test,
  { host, port }: { host: string; port: number },
  ...args: string[]
): Promise<Finished> {
  const home = await temporaryDirectory(t)
  await identifiers(home, { serial, uuid })
  const ran = await sugaroid('oats', '--server', `${host}:${port}`, '--home', home, '--at', now, ...args)
  t.notMatch(ran.out + ran.err, uuid, 'the uuid is a secret')
  return ran
}

test('a laptop asks with a form, and takes an answer that is signed and its own', async (t) => {
  const server = await school(t, (nonce) => answerTo(nonce))
  t.match(await oats(t, server, '--key', key), {
    code: 0,
    out: /^The laptop takes the answer\.\n.*time +20270101T000500Z\n +lease +none.*\n +stolen +no\n +hints +none\n/s,
    err: '',
  })
  const [asked = ''] = server.requests
  t.match(asked, /^POST \/antitheft\/1\/ HTTP\/1\.1\r\n/)
  t.match(asked, /^content-type: application\/x-www-form-urlencoded\r$/im)
  t.match(asked, /\r\n\r\nserialnum=SHC94700123&version=1&nonce=\d{10}$/)
})

test('a lease, a theft and hints in the answer are told', async (t) => {
  const lease = vector('leases/v1.sig').toString()
  const server = await school(t, (nonce) =>
    answerTo(nonce, { before: `"hint":["a",1],"lease":"${lease}",`, after: ',"stolen":true' }),
  )
  t.match(await oats(t, server, '--key', key, '--lease-key', leaseKey), {
    code: 0,
    out: /lease +act01: SHC9.*lease is +valid: signed with.*lease expires +20300101T000000Z.*stolen +yes.*hints +hint \["a",1\]/s,
  })
  t.match(await oats(t, server, '--key', key), { code: 0, out: /lease is +not checked: --lease-key/ })
  const { out, code } = await oats(t, server, '--key', key, '--lease-key', leaseKey, '--json')
  t.equal(code, 0)
  t.match(JSON.parse(out), {
    outcome: 'answered',
    serial,
    time,
    lease,
    stolen: true,
    hints: { hint: ['a', 1] },
    leaseVerdict: { verdict: /^valid$/, expiry: '20300101T000000Z' },
  })
})

test('a good answer with a bad lease is no success', async (t) => {
  const lease = vector('leases/v1-expired.sig').toString()
  const server = await school(t, (nonce) => answerTo(nonce, { before: `"lease":"${lease}",` }))
  const asked = await oats(t, server, '--key', key, '--lease-key', leaseKey)
  t.match(asked, {
    code: 76,
    out: /^The laptop takes the answer\..*lease is +invalid: line 1: the lease ran out/s,
  })
})

test('without a key the answer is shown and said to be unchecked, but its nonce must fit', async (t) => {
  const server = await school(t, (nonce) => answerTo(nonce))
  t.match(await oats(t, server), { code: 0, out: /signature was not checked/, err: /--key/ })
  const old = await school(t, () => answerTo('12345678'))
  t.match(await oats(t, old), { code: 76, out: /refuses the answer.*nonce is '12345678', not '\d{10}'/s })
})

test('an answer that another signed, or that was changed or kept, is refused', async (t) => {
  const refused: [string, (nonce: string) => string, RegExp][] = [
    ['an old one', () => answerTo('12345678'), /nonce is '12345678'/],
    ['a stranger', (nonce) => answerTo(nonce, { sign: (text) => sig01('rogue', text) }), /not know the key/],
    ['another time', (nonce) => answerTo(nonce).replace(time, '20280101T000500Z'), /does not fit/],
    [
      'other bytes',
      (nonce) => answerTo(nonce, { sign: (text) => sig01('oats', `${text}\n`) }),
      /does not fit/,
    ],
    [
      'no signature',
      (nonce) =>
        answerTo(nonce)
          .replace(/\["sig01[^"]+"\]/, '[]')
          .replace(/"sig01[^"]+"/, ''),
      /no signature/,
    ],
  ]
  for (const [name, make, out] of refused) {
    t.match(await oats(t, await school(t, make), '--key', key), { code: 76, out }, name)
  }
})

test('a school server may sign with a key that was delegated to it', async (t) => {
  const chain = [
    ['oats', '20300101T000000Z'],
    ['server', '20280101T000000Z'],
  ] as const
  const delegated = (sn?: string) => Buffer.from(answerTo('7', { sign: (text) => sig02(chain, text, sn) }))
  t.match(checkOats(delegated(), laptop('oats'), '7'), {
    verdict: /^valid$/,
    expiry: '20280101T000000Z',
    content: { nonce: '7', time, stolen: false },
  })
  t.match(checkOats(delegated('CSN74805706'), laptop('oats'), '7'), { verdict: 'invalid' }, 'to one laptop')
  const late = { ...laptop('oats'), now: '20280101T000001Z' }
  t.match(checkOats(delegated(), late, '7'), { verdict: 'invalid', reason: /ran out/ })
  const both = (text: string) => `${sig01('rogue', text)}","${sig02(chain, text)}`
  t.match(checkOats(Buffer.from(answerTo('7', { sign: both })), laptop('oats'), '7'), { verdict: /^valid$/ })
})

test('what is signed are the bytes that were sent', async (t) => {
  const accented = answerTo('7', { before: '"hint":"ñandú \\"\\\\",' })
  const { signed, hints } = readOats(Buffer.from(accented))
  t.equal(signed.toString(), `["oatc-resp",1,{"hint":"ñandú \\"\\\\","nonce":"7","time":"${time}"}]`)
  t.equal(hints.hint, 'ñandú "\\')
  t.match(checkOats(Buffer.from(accented), laptop('oats'), '7'), { verdict: /^valid$/ })
})

test('what is no answer is told from no answer at all', async (t) => {
  const body = answerTo('7')
  const broken: [string, Buffer, RegExp][] = [
    ['no length', Buffer.from(`${head}\r\n\r\n${body}`), /no Content-Length/],
    [
      'chunks',
      Buffer.from(`${head}\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n[]\r\n0\r\n\r\n`),
      /no Content-Length/,
    ],
    [
      'chunks that are none',
      Buffer.from(`${head}\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n`),
      /no Content-Length/,
    ],
    ['cut short', Buffer.from(`${head}\r\nContent-Length: 900\r\n\r\n${body.slice(0, 99)}`), /ends before/],
    ['too long', reply(Buffer.alloc(1_000_000, '['), head), /longer than 65536 bytes/],
    ['an error', reply('', 'HTTP/1.1 404 Not Found'), /HTTP status 404/],
    ['no HTTP', Buffer.from('STOLEN\r\n\r\n'), /is no HTTP/],
    ['plain JSON', reply(body.replaceAll('\n', '\\n'), head), /an escape other than/],
    [
      'white space',
      reply(JSON.stringify(JSON.parse(body.replaceAll('\n', '')), null, 1), head),
      /no canonical JSON/,
    ],
    ['no time', reply(body.replace(`,"time":"${time}"`, ''), head), /'time' is not written/],
    ['no nonce', reply(body.replace('"nonce":"7",', ''), head), /'nonce' is no string/],
    ['stolen perhaps', reply(body.replace(',"time"', ',"stolen":1,"time"'), head), /'stolen' is neither/],
    ['nothing', reply('', head), /no '\["oatc-signed-resp"/],
  ]
  for (const [name, bytes, message] of broken) {
    const asked = await askOats({ serial, nonce: '7' }, { server: await canned(t, bytes) })
    t.match(asked, { outcome: 'broken', cause: { message } }, name)
  }
  const closed = await peer(t, (socket) => void socket.end())
  const silent = await peer(t, () => undefined)
  for (const server of [closed, silent, { host: '127.0.0.1', port: 1 }]) {
    const asked = await askOats({ serial, nonce: '7' }, { server, timeout: 300 })
    t.match(asked, {
      outcome: 'unreachable',
      cause: { message: /reset|hang up|closed|no reply|ECONNREFUSED/ },
    })
  }
})

test('a refusal is told with the words of the server, and a busy server from one that says no', async (t) => {
  const json = (error: string, line: string) =>
    canned(
      t,
      reply(JSON.stringify({ success: 'ERR', error }), `HTTP/1.1 ${line}\r\nContent-Type: application/json`),
    )
  const none = await json('nothing can be signed for this laptop here', '404 Not Found')
  t.match(await oats(t, none, '--key', key), {
    code: 77,
    out: /^The server refuses to answer\..*status +404\n +server says +nothing can be signed for this laptop here\n/s,
    err: /delegation of OATS/,
  })
  const busy = await json('too much was asked for', '429 Too Many Requests\r\nRetry-After: 10')
  t.match(await oats(t, busy, '--key', key), {
    code: 75,
    out: /^The server does not answer now\..*says +too much was asked for\n +come back in +10 s\n/s,
  })
  const told = await oats(t, busy, '--json')
  t.equal(told.code, 75)
  t.match(JSON.parse(told.out), { outcome: 'busy', status: 429, text: 'too much was asked for', seconds: 10 })
  const down = await canned(t, reply('<h1>Down\u001b[2J</h1>', 'HTTP/1.1 503 Down\r\nRetry-After: soon'))
  const said = await oats(t, down)
  t.match(said, { code: 75, out: /server says +Down\\u001b\[2J\n/ })
  t.notMatch(said.out, /come back/)
  const odd = await canned(t, reply('null', 'HTTP/1.1 403 No'))
  t.match(await askOats({ serial, nonce: '7' }, { server: odd }), {
    outcome: 'denied',
    status: 403,
    text: 'null',
  })
  const moved = await canned(t, reply('gone', 'HTTP/1.1 302 Found'))
  t.match(await askOats({ serial, nonce: '7' }, { server: moved }), { outcome: 'broken' })
})

test('the command ends with a code for each of these, and says what to do', async (t) => {
  const broken = await canned(t, reply('', 'HTTP/1.1 404 Not Found'))
  t.match(await oats(t, broken, '--key', key), { code: 76, out: /HTTP status 404/, err: /httpd-port/ })
  const silent = await peer(t, () => undefined)
  t.match(await oats(t, silent, '--timeout', '0.3'), {
    code: 69,
    out: /no reply within 0\.3 s/,
    err: /httpd-port/,
  })
  const strange = await sugaroid('oats', '--serial', serial, '--lease-key', leaseKey, '--home', '/nowhere')
  t.match(strange, { code: 64, err: /without the uuid/ })
})
