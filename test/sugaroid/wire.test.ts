import { createServer } from 'node:net'
import { gzipSync } from 'node:zlib'
import fc from 'fast-check'
import t from 'tap'
import {
  call,
  type Identity,
  methodCall,
  parseReply,
  parseServer,
  type Registrant,
  register,
  registerByRest,
  type Server,
  statusOf,
  UsageError,
} from '../../sugaroid/index.js'
import { runs } from '../support/rounds.js'
import {
  canned,
  noPython,
  peer,
  python,
  pythonServer,
  reply,
  response,
  struct,
  welcome,
} from '../support/sugaroid/fake-servers.js'

t.setTimeout(300_000)

const ana: Registrant = {
  serial: 'SHC00000001',
  nickname: 'Ana <& "María" 🦉',
  uuid: '01234567-89AB-CDEF-0123-456789ABCDEF',
  pubkey: 'AAAAB3NzaC1kc3M=',
}

const pythonClient = `
import json, sys, xmlrpc.client
who = json.load(sys.stdin)
server = xmlrpc.client.ServerProxy('http://127.0.0.1:%s/' % sys.argv[1])
print(json.dumps(server.register(who['serial'], who['nickname'], who['uuid'], who['pubkey'])))
`

t.test('on the wire it cannot be told from Python: every byte is the same', { skip: noPython }, async (t) => {
  const school = await canned(t, reply(welcome))
  t.match(await register(ana, { server: school }), { outcome: 'registered' })
  await python(pythonClient, [String(school.port)], JSON.stringify(ana))
  const [ours, theirs] = school.requests.map((text) => text.replace(/Python-xmlrpc\/[\d.]+/, 'Python-xmlrpc'))
  t.equal(ours, theirs)
})

t.test("Python's own server hears exactly what was said", { skip: noPython }, async (t) => {
  const school = await pythonServer(
    t,
    `
from xmlrpc.server import SimpleXMLRPCServer
server = SimpleXMLRPCServer(('127.0.0.1', 0), logRequests=False)
def register(serial, nickname, uuid, pubkey):
    if nickname == 'nobody': return {'success': 'ERR', 'error': 'we know nobody'}
    return {'success': 'OK', 'jabberserver': '', 'backupurl': 'u@h:p', 'heard': [serial, nickname, uuid, pubkey],
            'config': {'deep': {'number': -7, 'half': 0.5, 'yes': True, 'list': []}, '__proto__': 'own'}}
server.register_function(register)
print(server.server_address[1])
server.serve_forever()
`,
  )
  const result = await register(ana, { server: school })
  t.match(result, {
    outcome: 'registered',
    message: 'You are now registered with your school server.',
    jabberserver: '',
    backupurl: 'u@h:p',
    reply: { heard: [ana.serial, ana.nickname, ana.uuid, ana.pubkey] },
  })
  if (result.outcome !== 'registered') return
  const config = JSON.parse(
    '{"deep": {"number": -7, "half": 0.5, "yes": true, "list": []}, "__proto__": "own"}',
  )
  t.strictSame(result.reply.config, config, 'structs come whole, with members of any name')
  t.strictSame(await register({ ...ana, nickname: 'nobody' }, { server: school }), {
    outcome: 'refused',
    message: 'The server could not complete the request.',
    error: 'we know nobody',
  })
  const unknown = call(school, 'unregister', [])
  await t.rejects(unknown, { name: 'Fault', code: 1, text: /unregister/ }, 'a fault is told apart')
})

t.test('any nickname arrives unchanged in Python', { skip: noPython }, async (t) => {
  const xmlCharacter = /[^\t\n\u0020-\ud7ff\ue000-\ufffd\u{10000}-\u{10ffff}]/u // CR is a newline in XML
  const nickname = fc.string({ unit: 'binary' }).filter((text) => !xmlCharacter.test(text))
  const sample = [...fc.sample(nickname, 500), ']]>', '&amp;', '</string>', '\u202e', ' ', '']
  const calls = sample.map((name) => methodCall('register', ['SN', name, 'U', 'K']).toString('base64'))
  const heard = await python(
    `
import base64, json, sys, xmlrpc.client
loads = lambda call: xmlrpc.client.loads(base64.b64decode(call))
print(json.dumps([[method, *values] for values, method in map(loads, json.load(sys.stdin))]))
`,
    [],
    JSON.stringify(calls),
  )
  t.strictSame(
    heard,
    sample.map((name) => ['register', 'SN', name, 'U', 'K']),
  )
  t.throws(() => methodCall('register', ['\ud800']), TypeError, 'half a character has no bytes')
})

t.test('a request whose connection closes without a reply is sent once more, and only once', async (t) => {
  for (const way of ['end', 'resetAndDestroy'] as const) {
    const forgetful = await peer(t, (socket, number) => {
      if (number === 1) socket[way]()
      else socket.end(reply(welcome))
    })
    t.match(await register(ana, { server: forgetful }), { outcome: 'registered' }, way)
    t.equal(forgetful.requests.length, 2)
    t.equal(forgetful.requests[1], forgetful.requests[0])

    const broken = await peer(t, (socket) => socket[way]())
    const result = await register(ana, { server: broken })
    t.match(result, { outcome: 'unreachable', message: 'Cannot connect to the server.' }, way)
    t.equal(broken.requests.length, 2)
  }
  const failing = await canned(t, reply('', 'HTTP/1.1 500 Oops'))
  await register(ana, { server: failing })
  t.equal(failing.requests.length, 1, 'an answer, however bad, is not asked for again')
})

t.test('it waits as long as it is told in all, however the server dawdles', async (t) => {
  const silent = await peer(t, () => undefined)
  const dripping = await peer(t, (socket) => {
    socket.write('HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n')
    const timer = setInterval(() => socket.write(' '), 20)
    socket.on('close', () => clearInterval(timer))
  })
  const closing = await peer(t, (socket) => void setTimeout(() => socket.end(), 120))
  for (const server of [silent, dripping, closing]) {
    const started = performance.now()
    const result = await register(ana, { server, timeout: 200 })
    const took = performance.now() - started
    t.match(result, { outcome: 'unreachable', cause: { message: 'no reply within 0.2 s' } })
    t.ok(took > 190 && took < 6000, `gave up after ${Math.round(took)} ms`)
  }
})

t.test('without being told it waits the 8 s that Sugar waits', async (t) => {
  const silent = await peer(t, () => undefined)
  const started = performance.now()
  t.match(await register(ana, { server: silent }), { outcome: 'unreachable' })
  const took = performance.now() - started
  t.ok(took > 7900 && took < 60_000, `gave up after ${Math.round(took)} ms`)
})

t.test('a caller who changes her mind gets her own reason back', async (t) => {
  const silent = await peer(t, () => undefined)
  const stop = new AbortController()
  const asked = register(ana, { server: silent, signal: stop.signal })
  asked.catch(() => undefined)
  while (silent.requests.length === 0) await new Promise((resolve) => setTimeout(resolve, 10))
  stop.abort(new Error('the bell rang'))
  await t.rejects(asked, { message: 'the bell rang' })
  await t.rejects(register(ana, { server: silent, signal: stop.signal }), { message: 'the bell rang' })
  t.equal(silent.requests.length, 1)
})

t.test('nobody there means: cannot connect', async (t) => {
  const port = await new Promise<number>((resolve) => {
    const closed = createServer().listen(0, '127.0.0.1', () => {
      const address = closed.address()
      closed.close(() => resolve(typeof address === 'object' && address ? address.port : 1))
    })
  })
  for (const host of ['127.0.0.1', 'localhost', '::1']) {
    const result = await register(ana, { server: { host, port } })
    t.match(result, {
      outcome: 'unreachable',
      message: 'Cannot connect to the server.',
      cause: { message: /connect/ },
    })
  }
  t.match(await register(ana, { server: { host: 'no.such.host.invalid', port } }), { outcome: 'unreachable' })
})

/** Replies, and what a laptop makes of them: r registered, e refused, u cannot connect, b dies unseen. */
const replies: Readonly<Record<string, readonly ['r' | 'e' | 'u' | 'b', Buffer]>> = {
  'all there': ['r', reply(welcome)],
  'keys it does not know': ['r', reply(struct({ success: 'OK', jabberserver: '', backupurl: '', x: 'y' }))],
  'a byte order mark': ['r', reply(`\ufeff${welcome}`)],
  'a comment, a processing instruction, CDATA': [
    'r',
    reply(
      welcome
        .replace('<methodResponse>', '<!-- - --><?x y?><methodResponse >')
        .replace('jabber.school', '<![CDATA[<&]]>'),
    ),
  ],
  'Latin-1': [
    'r',
    reply(Buffer.from(welcome.replace("'1.0'", "'1.0' encoding='iso-8859-1'").replace('u@', 'é@'), 'latin1')),
  ],
  gzip: ['r', reply(gzipSync(welcome), 'HTTP/1.1 200 OK\r\nContent-Encoding: gzip')],
  chunks: [
    'r',
    Buffer.from(
      `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n${welcome.length.toString(16)}\r\n${welcome}\r\n0\r\n\r\n`,
    ),
  ],
  'HTTP/1.0 that ends when it ends': ['r', Buffer.from(`HTTP/1.0 200 OK\r\n\r\n${welcome}`)],
  'an error': ['e', reply(struct({ success: 'ERR', error: 'full' }))],
  'another word for failure': ['e', reply(struct({ success: 'ok', error: 'no' }))],
  'an error without its text': ['b', reply(struct({ success: 'ERR' }))],
  'no success': ['b', reply(struct({ jabberserver: '', backupurl: '' }))],
  'no jabberserver': ['b', reply(struct({ success: 'OK', backupurl: '' }))],
  'no backupurl': ['b', reply(struct({ success: 'OK', jabberserver: '' }))],
  'a jabberserver that is a number': [
    'b',
    reply(welcome.replace('<string>jabber.school</string>', '<int>5222</int>')),
  ],
  'a backupurl that is nil': ['b', reply(welcome.replace('<string>u@school:backup</string>', '<nil/>'))],
  'a string': ['b', reply(response('OK'))],
  'an array': ['b', reply(response('<array><data><value>OK</value></data></array>'))],
  'no value': ['b', reply('<methodResponse><params></params></methodResponse>')],
  'a fault': [
    'u',
    reply(
      '<methodResponse><fault><value><struct><member><name>faultCode</name><value><int>4</int></value></member><member><name>faultString</name><value>no</value></member></struct></value></fault></methodResponse>',
    ),
  ],
  'a fault without a text': [
    'u',
    reply('<methodResponse><fault><value><struct></struct></value></fault></methodResponse>'),
  ],
  'HTTP 500': ['u', reply(welcome, 'HTTP/1.1 500 Oops')],
  'HTTP 204': ['u', Buffer.from('HTTP/1.1 204 No Content\r\n\r\n')],
  'a redirect': ['u', reply(welcome, 'HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/')],
  'an XHTML page': ['u', reply('<!DOCTYPE html><html><body><p>It works!</p></body></html>')],
  'an unknown type': ['u', reply(response('<money>5</money>'))],
  'a boolean that is none': ['u', reply(response('<boolean>maybe</boolean>'))],
  'an HTML page': ['b', reply('<!DOCTYPE html><html><body><p>It works!<br></body></html>')],
  'plain text': ['b', reply('It works!')],
  nothing: ['b', reply('')],
  'an integer that is none': ['b', reply(response('<int>four</int>'))],
  'a document and a half': ['b', reply(`${welcome}<more/>`)],
  'half a document': ['b', reply(welcome.slice(0, 120))],
  'a body shorter than promised': [
    'b',
    Buffer.from(`HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n${welcome.slice(0, 120)}`),
  ],
  'a line before the XML declaration': ['b', reply(`\n${welcome}`)],
  'a control character': ['b', reply(welcome.replace('jabber', '\u0001'))],
  'a reference to a control character': ['b', reply(welcome.replace('jabber', '&#1;'))],
  'an entity nobody declared': ['b', reply(welcome.replace('jabber', '&nbsp;'))],
  'a bare ampersand': ['b', reply(welcome.replace('jabber', 'A & B'))],
  'bytes that are no UTF-8': ['b', reply(Buffer.from(welcome.replace('jabber', '\u00e9'), 'latin1'))],
  'an attribute without quotes': ['b', reply(welcome.replace('<value>', '<value a=b>'))],
  'no HTTP': ['b', Buffer.from('hello\r\n\r\n')],
  'half a head': ['b', Buffer.from('HTTP/1.1 200 OK\r\nConte')],
  'chunks that are none': ['b', Buffer.from('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n')],
}

t.test('each kind of reply has the outcome that the child in front of Sugar sees', async (t) => {
  const outcomes = { r: 'registered', e: 'refused', u: 'unreachable', b: 'broken' }
  for (const [name, [letter, bytes]] of Object.entries(replies)) {
    const server = await canned(t, bytes)
    const { outcome } = await register(ana, { server })
    t.equal(outcome, outcomes[letter], name)
    t.equal(server.requests.length, 1, `${name}: asked once`)
  }
})

t.test('the outcomes above are what Python makes of the same replies', { skip: noPython }, async (t) => {
  const servers: [string, Server][] = []
  for (const [name, [, bytes]] of Object.entries(replies)) servers.push([name, await canned(t, bytes)])
  const letters = await python(
    `
import json, sys, xmlrpc.client
def attempt(port):
    try: data = xmlrpc.client.ServerProxy('http://127.0.0.1:%d/' % port).register('a', 'b', 'c', 'd')
    except (xmlrpc.client.Error, TypeError, OSError): return 'u'
    if data['success'] != 'OK': return data['error'] and 'e'
    if not all(isinstance(data[key], str) for key in ('jabberserver', 'backupurl')): raise TypeError
    return 'r'
def letter(port):
    try: return attempt(port)
    except Exception: return 'b'
print(json.dumps([letter(port) for port in json.load(sys.stdin)]))
`,
    [],
    JSON.stringify(servers.map(([, { port }]) => port)),
  )
  const theirs = new Map(
    servers.map(([name], at) => [name, Array.isArray(letters) ? letters[at] : undefined]),
  )
  for (const [name, [letter]] of Object.entries(replies)) t.equal(theirs.get(name), letter, name)
})

t.test('a broken reply says what it lacks, and what Sugar had kept when it died', async (t) => {
  const half = await canned(t, reply(struct({ success: 'OK', jabberserver: 'elsewhere' })))
  t.match(await register(ana, { server: half }), {
    outcome: 'broken',
    message: null,
    jabberserver: 'elsewhere',
    cause: { message: "the reply's 'backupurl' is missing" },
  })
})

t.test('no reply is so big, deep or clever that it hurts', async (t) => {
  const bomb = `<!DOCTYPE x [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;">]>${response('&b;')}`
  const endless = await peer(t, (socket) => {
    socket.write('HTTP/1.1 200 OK\r\n\r\n')
    const flood = () => {
      while (socket.writable && socket.write(Buffer.alloc(65_536, ' ')));
    }
    socket.on('drain', flood)
    flood()
  })
  const servers = [
    endless,
    await canned(t, reply(response('x'.repeat(2_000_000)))),
    await canned(t, reply(gzipSync(Buffer.alloc(50_000_000)), 'HTTP/1.1 200 OK\r\nContent-Encoding: gzip')),
    await canned(t, reply(response('<array><data><value>'.repeat(20_000)))),
    await canned(t, reply(`<a${' b="c"'.repeat(100_000)}`)),
    await canned(t, reply('<'.repeat(900_000))),
    await canned(t, reply('<!--'.repeat(200_000))),
    await canned(t, reply(bomb)),
  ]
  for (const server of servers) {
    const started = performance.now()
    t.match(await register(ana, { server }), { outcome: 'broken' })
    t.ok(performance.now() - started < 20_000)
  }
})

t.test('the parser never fails in a way of its own', async (t) => {
  const pieces = fc.constantFrom(
    '<value>',
    '</value>',
    '<int>',
    '&',
    '&#x0;',
    '<!--',
    '-->',
    ']]>',
    '<![CDATA[',
    '7',
    '<a b="',
    '">',
    '<?',
    '?>',
    '\0',
  )
  const document = fc.array(pieces, { maxLength: 12 }).map((parts) => response(parts.join('')))
  const known = /^(the reply|<|'|fault|a fault)/
  fc.assert(
    fc.property(document, (text) => {
      try {
        parseReply(Buffer.from(text))
      } catch (error) {
        if (!(error instanceof Error && known.test(error.message))) throw error
      }
    }),
    runs(3000),
  )
  t.pass('3000 documents')
})

t.test('a server is named by host and port, an IPv6 address in brackets', async (t) => {
  t.same(parseServer('school', 8080), { host: 'school', port: 8080 })
  t.same(parseServer('10.0.0.1:81', 8080), { host: '10.0.0.1', port: 81 })
  t.same(parseServer('[fd00::1]', 8080), { host: 'fd00::1', port: 8080 })
  t.same(parseServer('[::1]:8000', 8080), { host: '::1', port: 8000 })
  for (const text of [
    '',
    ':80',
    'school:',
    'school:0',
    'school:65536',
    'http://school',
    '::1',
    '[school]',
    'a b',
    'a\n',
    'u@h',
  ]) {
    t.throws(() => parseServer(text, 8080), UsageError, JSON.stringify(text))
  }
})

t.test('the JSON interface gets the same learner in its own words', async (t) => {
  const identity: Identity = { ...ana, home: '/', keyFile: '/key', keyName: 'ssh-dss', uid: 'a'.repeat(40) }
  const json = (value: unknown, status = '200 OK') =>
    canned(t, reply(JSON.stringify(value), `HTTP/1.1 ${status}`))

  const school = await json({
    success: 'OK',
    uid: identity.uid,
    jabberserver: 'j',
    backupurl: 'u@h:p',
    backuppath: '',
  })
  t.match(await registerByRest(identity, { server: school }), { outcome: 'registered', jabberserver: 'j' })
  const [head = '', body = ''] = school.requests[0]?.split('\r\n\r\n') ?? []
  t.match(head, /^POST \/client\/register HTTP\/1.1\r\n/)
  t.strictSame(JSON.parse(body), {
    nickname: ana.nickname,
    machine_sn: ana.serial,
    machine_uuid: ana.uuid,
    pubkey: `ssh-dss ${ana.pubkey}`,
  })
  const refusing = await json({ success: 'ERR', error: 'no' }, '400 Bad Request')
  t.match(await registerByRest(identity, { server: refusing }), { outcome: 'refused', error: 'no' })
  t.match(await registerByRest(identity, { server: await json('OK') }), { outcome: 'broken' })
  t.match(await registerByRest(identity, { server: await json({}, '404 Not Found') }), {
    outcome: 'unreachable',
  })

  const knowing = await json({ success: 'OK', registered: true, 'backup-url': 'u@h:p', stamp: 7 })
  t.match(await statusOf(identity.uid, { server: knowing }), {
    outcome: 'answered',
    registered: true,
    reply: { stamp: 7 },
  })
  t.match(knowing.requests[0], new RegExp(`^GET /client/status\\?uid=${identity.uid} `))
  t.match(await statusOf('x', { server: await json({ success: 'OK' }) }), { outcome: 'broken' })
  t.match(await statusOf('x', { server: refusing }), { outcome: 'refused', error: 'no' })
  const silent = await peer(t, () => undefined)
  t.match(await statusOf('x', { server: silent, timeout: 50 }), { outcome: 'unreachable' })
})
