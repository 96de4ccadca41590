import { readFile } from 'node:fs/promises'
import { connect, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import fc from 'fast-check'
import t from 'tap'
import { startServer } from '../../support/core/server-process.js'
import { hangUp, laptop, post, register, uidOf } from '../../support/id/registering-laptops.js'
import { seed } from '../../support/rounds.js'
import { markup, oddities } from '../../support/xmlrpc-markup.js'

t.setTimeout(300_000)

t.teardown(hangUp)

const megabyte = 1 << 20

/** What the server's process holds in memory now, in bytes. */
async function resident(pid: number | undefined): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8')
  return Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1]) * 1024
}

const good = laptop(1)
const escaped = (text: string): string =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')
const param = (xml: string): string => `<param>\n<value>${xml}</value>\n</param>\n`
const string = (text: string): string => param(`<string>${escaped(text)}</string>`)
const call = (params: string, method = 'register'): string =>
  `<?xml version='1.0'?>\n<methodCall>\n<methodName>${method}</methodName>\n<params>\n${params}</params>\n</methodCall>\n`
const registering = (nickname: string): string =>
  call([good.serial, nickname, good.uuid, good.pubkey].map(string).join(''))

const valid = Buffer.from(registering('Ana <& "María" 🦉'))
const json = JSON.stringify({
  machine_sn: good.serial,
  nickname: 'Ana',
  machine_uuid: good.uuid,
  pubkey: `ssh-ed25519 ${good.pubkey}`,
})

const bytes = (...parts: (string | Buffer)[]): Buffer =>
  Buffer.concat(parts.map((part) => (typeof part === 'string' ? Buffer.from(part) : part)))

/** A valid registration whose nickname is these bytes. */
const named = (nickname: Buffer): Buffer => {
  const at = valid.indexOf('Ana &lt;')
  return bytes(valid.subarray(0, at), nickname, valid.subarray(at))
}

function byHand(): Buffer[] {
  const lols = Array.from({ length: 9 }, (_, n) => `<!ENTITY l${n + 1} "${`&l${n};`.repeat(10)}">`).join('')
  const nested = (times: number, open: string, close: string) =>
    call(param(open.repeat(times) + close.repeat(times)))
  const members = [
    '__proto__',
    'constructor',
    'prototype',
    'toString',
    'valueOf',
    'hasOwnProperty',
    'then',
    '',
  ]
  const member = (name: string, value: string) =>
    `<member><name>${name}</name><value>${value}</value></member>`
  const texts = [
    `<!DOCTYPE x [<!ENTITY l0 "lol">${lols}]>${call(param('<string>&l9;</string>'))}`,
    `<!DOCTYPE x [<!ENTITY a "${'a'.repeat(30_000)}">]>${call(param(`<string>${'&a;'.repeat(9000)}</string>`))}`,
    `<!DOCTYPE x [<!ENTITY f SYSTEM "file:///etc/passwd">]>${call(param('<string>&f;</string>'))}`,
    nested(10_000, '<a>', ''),
    nested(1200, '<array><data><value>', '</value></data></array>'),
    nested(1000, '<struct><member><name>a</name><value>', '</value></member></struct>'),
    call('<param/>'.repeat(7000)),
    call(string('').repeat(1100)),
    call(string('x'), 'x'.repeat(60_000)),
    ...members.map((name) => call(string('x'), name)),
    ...members.map((name) =>
      call(param(`<struct>${member(name, `<struct>${member(name, 'x')}</struct>`)}</struct>`)),
    ),
    ...members.map((name) => `{"${name}": {"${name}": [${json}]}}`),
    ...members.map((name) => json.replace('{', `{"${name}": ${json}, `)),
    ...[']]>', ']]>]]>', '<![CDATA[', '\0', '\u0001', '\u001b[2J', '\u202e', '\uffff', '\r', '=cmd|x'].map(
      registering,
    ),
    call(param('<string>&#0;&#xD800;&#x110000;&#xFFFFFFFFF;&nosuch;</string>').repeat(4)),
    call(param('<int>1e999</int><double>NaN</double><boolean>2</boolean><i8>x</i8>')),
    call(param(`<base64>${'A'.repeat(50_000)}</base64>`).repeat(1)),
    call(param('<dateTime.iso8601>99999999T99:99:99</dateTime.iso8601>')),
    '['.repeat(60_000),
    `${'['.repeat(30_000)}${']'.repeat(30_000)}`,
    `{"a":`.repeat(10_000),
    `{"pubkey": ${'9'.repeat(60_000)}}`,
    json.replace('Ana', '\\ud800\\udfff\\u0000\\ud83e'),
    `${valid}${valid}`,
    'A'.repeat(65_536),
    'A'.repeat(65_537),
    ' '.repeat(65_536),
    registering('x'.repeat(60_000)),
    '',
  ]
  const raw = [
    Buffer.alloc(megabyte, 0x61),
    Buffer.alloc(60_000),
    Buffer.alloc(60_000, 0xff),
    named(Buffer.from('eda080', 'hex')),
    named(Buffer.from('edb080eda080', 'hex')),
    named(Buffer.from('c080', 'hex')),
    named(Buffer.from('f4908080', 'hex')),
    named(Buffer.from('Mar\u00eda', 'latin1')),
    Buffer.from(valid.toString('utf8'), 'utf16le'),
    bytes(Buffer.from('efbbbf', 'hex'), valid),
    bytes(Buffer.from('fffe', 'hex'), Buffer.from(valid.toString('utf8'), 'utf16le')),
    bytes(Buffer.from('1f8b08', 'hex'), valid),
  ]
  const cut = Array.from({ length: valid.length }, (_, end) => valid.subarray(0, end))
  const cutJson = Array.from({ length: json.length }, (_, end) => Buffer.from(json.slice(0, end)))
  return [...texts.map((text) => Buffer.from(text)), ...raw, ...cut, ...cutJson]
}

function byChance(count: number): Buffer[] {
  const piece = fc.constantFrom(
    ...markup,
    ...oddities,
    '<methodName>register</methodName>',
    '<array><data>',
    '</data></array>',
    '{"',
    '":',
    '[',
    ']',
    '}',
    '"pubkey"',
    '1e999',
    '\\ud800',
    'SHC00000001',
    '../../x',
    '%00',
    '\u202e',
    '🦉',
  )
  const noise = fc.oneof(
    fc.uint8Array({ maxLength: 200 }).map((array) => Buffer.from(array)),
    fc.string({ unit: 'binary', maxLength: 100 }).map((text) => Buffer.from(text)),
    fc.array(piece, { maxLength: 60 }).map((pieces) => Buffer.from(pieces.join(''))),
  )
  const spoilt = fc
    .tuple(
      fc.constantFrom(valid, Buffer.from(json)),
      fc.nat({ max: valid.length }),
      fc.nat({ max: 40 }),
      noise,
    )
    .map(([whole, at, length, put]) => bytes(whole.subarray(0, at), put, whole.subarray(at + length)))
  const strange = fc
    .array(fc.oneof(fc.string({ unit: 'binary', maxLength: 80 }), piece), { maxLength: 6 })
    .map((words) => Buffer.from(call(words.map(string).join(''))))
  return fc.sample(fc.oneof(noise, spoilt, strange), { numRuns: count, seed })
}

/** Speaks raw HTTP. @returns what came back until the server closed, or `patience` was over */
function speak(port: number, talk: (socket: Socket) => unknown, patience = 45_000) {
  return new Promise<{ heard: string; closed: boolean }>((resolve) => {
    const socket = connect({ port, host: '127.0.0.1' })
    let heard = ''
    const end = (closed: boolean) => {
      clearTimeout(timer)
      socket.destroy()
      resolve({ heard, closed })
    }
    const timer = setTimeout(() => end(false), patience)
    socket.setEncoding('latin1').on('data', (chunk: string) => {
      heard = (heard + chunk).slice(0, 10_000)
    })
    socket.on('error', () => undefined)
    socket.on('close', () => end(true))
    socket.on('connect', () => void talk(socket))
  })
}

/** Goes on writing until the other side has enough. */
async function pour(socket: Socket, chunk: Buffer, most: number): Promise<number> {
  let sent = 0
  while (sent < most && socket.writable) {
    sent += chunk.length
    if (!socket.write(chunk)) {
      await new Promise<void>((resolve) => {
        socket.once('drain', resolve)
        socket.once('close', () => resolve())
      })
    }
  }
  return sent
}

const head = (path: string, ...more: string[]): string =>
  [`POST ${path} HTTP/1.1`, 'Host: school', ...more, '', ''].join('\r\n')

const chunked = (part: Buffer): Buffer => bytes(`${part.length.toString(16)}\r\n`, part, '\r\n')

t.test(
  'ten thousand hostile bodies later the server is well, and registers the next laptop',
  { timeout: 240_000 },
  async (t) => {
    const args = ['--host', '127.0.0.1', '--httpd-port', '0', '--id-port', '0', '--plugins', 'id']
    const server = await startServer(t, {
      args: [...args, '--registration-limit', '0', '--log-level', 'error'],
    })
    const { pid } = server.child
    const [id, httpd] = [await server.url('id'), await server.url('httpd')]
    const port = Number(new URL(id).port)
    let most = 0
    const measure = async () => {
      most = Math.max(most, await resident(pid))
    }
    const watch = setInterval(() => void measure().catch(() => undefined), 200)
    t.teardown(() => clearInterval(watch))

    await t.test('bodies that come whole are each answered', async (t) => {
      const bodies = [...byHand(), ...byChance(9000)]
      const doors = [`${id}/`, `${id}/RPC2`, `${httpd}/client/register`]
      const sendings = bodies.flatMap((body, index) =>
        // The valid one and what little differs from it goes through both doors.
        index < bodies.length - 9000
          ? [`${id}/`, `${httpd}/client/register`].map((url) => ({ url, body }))
          : [{ url: doors[index % 3] ?? '', body }],
      )
      t.ok(sendings.length >= 10_000, `${sendings.length} bodies`)
      const answers = new Map<string, number>()
      let slowest = 0
      let next = 0
      const client = async () => {
        for (let sending = sendings[next++]; sending !== undefined; sending = sendings[next++]) {
          const { url, body } = sending
          const began = performance.now()
          const told = await post(url, body).then(
            ({ status, type }) => `${status} ${type.split(';')[0]}`,
            // The answer may be lost when more is sent than is read: the connection is closed then.
            (error: NodeJS.ErrnoException) => (body.length > 65_536 ? 'closed' : `failed ${error.code}`),
          )
          slowest = Math.max(slowest, performance.now() - began)
          answers.set(told, (answers.get(told) ?? 0) + 1)
        }
      }
      await Promise.all(Array.from({ length: 16 }, client))
      t.comment(Object.fromEntries(answers))
      const allowed = /^(?:200 text\/xml|200 application\/json|4(?:00|13) application\/json|closed)$/
      t.strictSame(
        [...answers.keys()].filter((told) => !allowed.test(told)),
        [],
        'a reply, a fault, or a refusal; never an internal error',
      )
      t.ok(slowest < 8000, 'each within the time that a laptop waits')
    })

    await t.test('bodies that never end, or never come, are cut off', async (t) => {
      const part = Buffer.alloc(64 << 10, 0x61)
      const paths = ['/', '/RPC2']
      const talks: [what: string, talk: (socket: Socket) => unknown, answer: RegExp][] = [
        [
          '100 MB claimed, a little sent',
          (s) => s.write(`${head('/', `Content-Length: ${100 * megabyte}`)}x`),
          /^HTTP\/1\.1 413/,
        ],
        [
          '100 MB claimed, 1 MB sent',
          async (s) => {
            s.write(head('/', `Content-Length: ${100 * megabyte}`))
            await pour(s, part, megabyte)
          },
          /^(HTTP\/1\.1 413|$)/,
        ],
        [
          'chunks without end',
          async (s) => {
            s.write(head('/', 'Transfer-Encoding: chunked'))
            t.ok((await pour(s, chunked(part), 400 * megabyte)) < 50 * megabyte, 'not all of it is read')
          },
          /^(HTTP\/1\.1 413|$)/,
        ],
        [
          'tiny chunks without end',
          async (s) => {
            s.write(head('/', 'Transfer-Encoding: chunked'))
            await pour(s, Buffer.concat(Array<Buffer>(5000).fill(chunked(Buffer.from('x')))), 100 * megabyte)
          },
          /^(HTTP\/1\.1 413|$)/,
        ],
        [
          'a chunk of 4 EB',
          (s) => s.write(`${head('/', 'Transfer-Encoding: chunked')}3fffffffffffffff\r\nx`),
          /./,
        ],
        [
          'a chunk without a size',
          (s) => s.write(`${head('/', 'Transfer-Encoding: chunked')}owl\r\n`),
          /^HTTP\/1\.1 400/,
        ],
        [
          'two lengths',
          (s) => s.write(`${head('/', 'Content-Length: 5', 'Content-Length: 6')}xxxxxx`),
          /^HTTP\/1\.1 400/,
        ],
        [
          'a length and chunks',
          (s) => s.write(`${head('/', 'Content-Length: 5', 'Transfer-Encoding: chunked')}0\r\n\r\n`),
          /^HTTP\/1\.1 400/,
        ],
        ['a negative length', (s) => s.write(head('/', 'Content-Length: -1')), /^HTTP\/1\.1 400/],
        [
          'a length of many digits',
          (s) => s.write(head('/', `Content-Length: ${'9'.repeat(40)}`)),
          /^HTTP\/1\.1 4/,
        ],
        [
          'a million headers',
          (s) => pour(s, Buffer.from(`POST / HTTP/1.1\r\n${'a: b\r\n'.repeat(10_000)}`), 10 * megabyte),
          /^HTTP\/1\.1 4/,
        ],
        ['an address of a megabyte', (s) => s.write(head(`/${'x'.repeat(megabyte)}`)), /^HTTP\/1\.1 4/],
        ['no HTTP', (s) => s.write(part), /^HTTP\/1\.1 400/],
        [
          'a request smuggled behind a refused one',
          (s) => s.write(`${head('/', 'Content-Length: 70000')}${head('/health')}`),
          /^HTTP\/1\.1 413(?![\s\S]*HTTP\/1\.1)/,
        ],
        ...paths.map((path): [string, (socket: Socket) => unknown, RegExp] => [
          `nothing after the headers of ${path}`,
          (s) => s.write(head(path, 'Content-Length: 500')),
          /^HTTP\/1\.1 408/,
        ]),
        ['a body that ends early', (s) => s.end(`${head('/', 'Content-Length: 500')}x`), /^/],
        ['half of the headers', (s) => s.write('POST / HTTP/1.1\r\nHost: school\r\n'), /^HTTP\/1\.1 408/],
        [
          'a byte now and then',
          async (s) => {
            s.write(head('/', 'Content-Length: 500'))
            for (let n = 0; n < 500 && s.writable; n += 1) {
              s.write('x')
              await sleep(100)
            }
          },
          /^HTTP\/1\.1 408/,
        ],
      ]
      const slow = Promise.all(
        talks.map(async ([what, talk, answer]) => ({ what, answer, ...(await speak(port, talk)) })),
      )
      const meanwhile = await register(id, laptop(2))
      t.equal(meanwhile.success, 'OK', 'a laptop that comes meanwhile is served')
      for (const { what, answer, heard, closed } of await slow) {
        t.ok(closed, `${what}: closed`)
        t.match(heard, answer, `${what}: ${heard.slice(0, 30).trim()}`)
      }
    })

    await measure()
    clearInterval(watch)
    t.ok(most < 200 * megabyte, `${Math.round(most / megabyte)} MB at most`)
    t.equal(server.child.exitCode, null, 'it runs on')
    t.strictSame(await register(id, laptop(3)), {
      success: 'OK',
      jabberserver: 'schoolserver',
      backupurl: '',
      backuppath: '',
    })
    const { body } = await post(`${httpd}/client/status?uid=${uidOf(laptop(3))}`, '', { method: 'GET' })
    t.match(JSON.parse(body), { success: 'OK', registered: true })
    hangUp()
    const { code, err } = await server.stop()
    t.equal(code, 0)
    t.equal(err, '', 'nothing of this was an error of ours')
  },
)
