import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { Agent, createServer, request as httpRequest } from 'node:http'
import { type AddressInfo, connect, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { gzipSync } from 'node:zlib'
import Router from 'koa-router'
import { pino } from 'pino'
import t, { type Test } from 'tap'
import { definePlugin, port, RequestError, readJson, readText, StoreError } from '../../core/api.js'
import { Connections } from '../../core/http/connections.js'
import { Listener, times } from '../../core/http/listener.js'
import { boot } from '../../core/testing.js'
import { until } from '../support/core/server-process.js'

const silent = pino({ level: 'silent' })
const never = new AbortController().signal

interface Open {
  listener: Listener
  port: number
  url: string
  /** What was logged. */
  log: Record<string, unknown>[]
}

/** A listener with one plugin's routes, on a free port. */
async function listen(t: Test, routes: (router: Router) => void, limits = {}): Promise<Open> {
  const log: Record<string, unknown>[] = []
  const logger = pino(
    { level: 'debug', base: null },
    { write: (line: string) => void log.push(JSON.parse(line)) },
  )
  const listener = new Listener('127.0.0.1', 0, logger, { ...times, ...limits })
  const router = new Router()
  routes(router)
  listener.use('test', router)
  await listener.open('test-port = 0')
  t.teardown(() => listener.drain(AbortSignal.abort()))
  const { port } = listener.address
  return { listener, port, url: `http://127.0.0.1:${port}`, log }
}

const echo = (router: Router): void => {
  router.post('/text', async (ctx) => {
    ctx.body = await readText(ctx)
  })
  router.post('/json', async (ctx) => {
    ctx.body = await readJson(ctx)
  })
  router.get('/hello', (ctx) => {
    ctx.body = 'hello'
  })
}

interface Wire {
  socket: Socket
  /** All that came back, once the other end has closed. */
  closed: Promise<string>
  /** All that has come back so far. */
  got(): string
  /** Waits until `text` has come back. */
  until(text: string): Promise<void>
}

/** A bare connection. */
function wire(t: Test, port: number, { text = '', from = '127.0.0.1' } = {}): Wire {
  const socket = connect({ port, host: '127.0.0.1', localAddress: from, noDelay: true })
  let got = ''
  socket.setEncoding('latin1')
  socket.on('data', (part) => {
    got += part
  })
  socket.on('error', () => undefined)
  t.teardown(() => socket.destroy())
  if (text !== '') socket.write(text)
  const closed = new Promise<string>((resolve) => socket.once('close', () => resolve(got)))
  const until = async (wanted: string) => {
    for (let tries = 0; tries < 400 && !got.includes(wanted) && !socket.destroyed; tries += 1) await sleep(25)
  }
  return { socket, closed, got: () => got, until }
}

const head = (method: string, path: string, ...lines: string[]): string =>
  [`${method} ${path} HTTP/1.1`, 'Host: school', ...lines, '', ''].join('\r\n')

const statusOf = (answer: string): number => Number(/^HTTP\/1\.1 (\d+)/.exec(answer)?.[1] ?? 0)

t.test('plugins that name the same port share a listener, and one that goes leaves it', async (t) => {
  const saying = (name: string) =>
    definePlugin({
      name,
      api: 1,
      summary: 'Says its name.',
      options: { [`${name}-port`]: port({ help: 'Port.', default: 0 }) },
      start: (ctx) => {
        ctx.http.router.get(`/${name}`, (it) => {
          it.body = name
        })
        ctx.http.listener(`${name}-port`).get('/own', (it) => {
          it.body = `${name}'s own`
        })
      },
    })
  const free = createServer().listen(0, '127.0.0.1')
  await once(free, 'listening')
  const shared = String((free.address() as AddressInfo).port)
  await new Promise((resolve) => free.close(resolve))
  const school = await boot({
    plugins: [saying('one'), saying('two'), saying('three')],
    settings: { 'httpd-port': shared, 'one-port': shared, 'two-port': '0', 'three-port': '0' },
  })
  t.teardown(() => school.dispose())
  const httpd = await school.url('httpd')
  t.equal(await school.url('one'), httpd, 'the same port is the same listener')
  t.not(await school.url('two'), await school.url('three'), 'port 0 is another free one for each')
  const read = async (url: string) => (await fetch(url)).text()
  for (const name of ['one', 'two', 'three']) t.equal(await read(`${httpd}/${name}`), name)
  t.equal(await read(`${httpd}/own`), "one's own")
  t.equal(await read(`${await school.url('two')}/own`), "two's own")

  const { kernel } = school.house
  const one = kernel.members.find(({ name }) => name === 'one')
  if (one !== undefined) await kernel.fail(one, new Error('it broke'))
  t.equal((await fetch(`${httpd}/one`)).status, 404)
  t.equal((await fetch(`${httpd}/two`)).status, 200, 'the others serve on')
})

t.test('what is not there is told in the words that the client reads', async (t) => {
  const { url } = await listen(t, (router) => {
    echo(router)
    router.get('/refused', () => {
      throw new RequestError('REFUSED', 'not for <b>"you" & co</b>')
    })
  })
  const missing = await fetch(`${url}/nowhere`)
  t.equal(missing.status, 404)
  t.same(await missing.json(), { success: 'ERR', error: 'there is nothing at this address' })
  const wrong = await fetch(`${url}/text`)
  t.same([wrong.status, wrong.headers.get('allow')], [405, 'POST'])
  t.same(await wrong.json(), { success: 'ERR', error: 'not with this method' })
  t.ok([405, 501].includes((await fetch(`${url}/hello`, { method: 'PROPFIND' })).status))

  const page = { headers: { accept: 'text/html,application/xhtml+xml,*/*;q=0.8' } }
  const refused = await fetch(`${url}/refused`, page)
  t.equal(refused.status, 403)
  t.match(refused.headers.get('content-type'), 'text/html')
  const html = await refused.text()
  t.match(html, 'not for &#60;b&#62;&#34;you&#34; &#38; co&#60;/b&#62;')
  t.notMatch(html, '<b>')
  t.match(await (await fetch(`${url}/%3Cscript%3E`, page)).text(), 'there is nothing at this address')
  t.same(await (await fetch(`${url}/refused`)).json(), { success: 'ERR', error: 'not for <b>"you" & co</b>' })
})

t.test('only a RequestError speaks to the client; anything else is a reference into the log', async (t) => {
  const secret = 'ENOENT /var/lib/secret'
  const thrown: Record<string, unknown> = {
    error: new Error(secret),
    text: secret,
    nothing: undefined,
    'koa-style': Object.assign(new Error(secret), {
      status: 418,
      expose: true,
      headers: { 'X-Secret': secret },
    }),
    store: new StoreError('STORE_READ_ONLY', secret),
  }
  const { url, log } = await listen(t, (router) => {
    for (const [name, what] of Object.entries(thrown)) {
      router.get(`/${name}`, () => {
        throw what
      })
    }
    router.get('/half', (ctx) => {
      ctx.set('Content-Length', '3')
      ctx.type = 'image/png'
      ctx.body = 'half an answer'
      throw new Error(secret)
    })
  })
  for (const name of [...Object.keys(thrown), 'half']) {
    const answer = await fetch(`${url}/${name}`)
    const id = answer.headers.get('x-request-id') ?? ''
    t.equal(answer.status, name === 'store' ? 503 : 500, name)
    t.equal(answer.headers.get('retry-after'), name === 'store' ? '30' : null)
    t.equal(answer.headers.get('x-secret'), null)
    t.same(await answer.json(), { success: 'ERR', error: `internal error, reference ${id}` })
    const fault = log.find((line) => line.id === id && line.msg === 'a request failed')
    t.match(
      fault,
      { level: 50, err: { message: name === 'nothing' ? 'undefined' : secret } },
      'it is in the log',
    )
    t.match(
      log.find((line) => line.id === id && line.msg === 'request'),
      { level: 30, status: answer.status },
    )
  }
  const ids = new Set(log.map((line) => line.id))
  t.equal(ids.size, Object.keys(thrown).length + 1, 'each request has a reference of its own')
})

t.test('every answer carries the headers that keep a browser safe', async (t) => {
  const { url, port } = await listen(t, echo)
  for (const path of ['/hello', '/nowhere']) {
    const { headers } = await fetch(url + path)
    t.equal(headers.get('x-content-type-options'), 'nosniff')
    t.equal(headers.get('x-frame-options'), 'DENY')
    t.equal(headers.get('referrer-policy'), 'no-referrer')
    t.equal(headers.get('cache-control'), 'no-store')
    t.match(headers.get('content-security-policy'), "default-src 'none'")
    t.match(headers.get('x-request-id'), /^[0-9a-z]{9,}$/)
    t.equal(headers.get('x-powered-by'), null)
  }
  const forged = wire(t, port, { text: head('GET', '/hello', 'X-Request-Id: mine', 'Connection: close') })
  t.notMatch(await forged.closed, 'mine', 'the id is ours')
})

t.test('bodies that are too large, broken or dressed up are refused', async (t) => {
  const { url, port } = await listen(t, echo)
  const post = (path: string, body: string | Buffer, headers = {}) =>
    fetch(url + path, { method: 'POST', body, headers: { 'content-type': 'text/plain', ...headers } })

  t.equal(await (await post('/text', 'ä🦉\0')).text(), 'ä🦉\0')
  t.equal((await post('/text', 'x'.repeat(64 << 10))).status, 200, '64 KiB are not too many')
  const large = await post('/text', 'x'.repeat((64 << 10) + 1))
  t.equal(large.status, 413)
  t.match(await large.json(), { error: 'the body is larger than 65536 bytes' })

  for (const body of [
    Buffer.from([0xff, 0xfe]),
    Buffer.from('ä').subarray(0, 1),
    Buffer.from([0xed, 0xa0, 0x80]),
  ]) {
    const answer = await post('/text', body)
    t.equal(answer.status, 400)
    t.match(await answer.json(), { error: 'the body is not UTF-8' })
  }
  for (const encoding of ['gzip', 'br', 'x-anything', 'identity, gzip']) {
    const answer = await post('/text', gzipSync(Buffer.alloc(10_000_000)).subarray(0, 1000), {
      'content-encoding': encoding,
    })
    t.equal(answer.status, 400, encoding)
    t.match(await answer.json(), { error: /is not taken/ })
  }
  t.equal((await post('/text', 'plain', { 'content-encoding': 'identity' })).status, 200)
  for (const body of ['', '{', '[]', '1', 'null', '"x"', '{} {}']) {
    t.equal((await post('/json', body)).status, 400, `JSON: ${body}`)
  }
  t.same(
    await (await post('/json', '{"__proto__":{"a":1},"b":2}')).json(),
    JSON.parse('{"__proto__":{"a":1},"b":2}'),
  )

  await t.test('100 MB that are only announced: told at once, and closed', async (t) => {
    const long = wire(t, port, { text: `${head('POST', '/text', 'Content-Length: 104857600')}some` })
    const answer = await long.closed
    t.equal(statusOf(answer), 413)
    t.match(answer, /connection: close/i)
  })

  await t.test('chunks without end: stopped early', async (t) => {
    const endless = wire(t, port, { text: head('POST', '/text', 'Transfer-Encoding: chunked') })
    const chunk = `4000\r\n${'x'.repeat(0x4000)}\r\n`
    let sent = 0
    while (!endless.socket.destroyed && sent < 100 << 20) {
      if (!endless.socket.write(chunk))
        await Promise.race([once(endless.socket, 'drain').catch(() => 0), endless.closed])
      sent += chunk.length
    }
    t.ok(sent < 20 << 20, `${sent} bytes went out`)
    // The answer may be lost when the close overtakes it.
    t.ok([413, 0].includes(statusOf(await endless.closed)))
  })

  await t.test('a Content-Length that is wrong', async (t) => {
    const short = wire(t, port, { text: `${head('POST', '/text', 'Content-Length: 10')}abc` })
    short.socket.end()
    t.notMatch(await short.closed, /200 OK/, 'fewer bytes than promised')
    const more = wire(t, port, { text: `${head('POST', '/text', 'Content-Length: 3')}abcGARBAGE\r\n\r\n` })
    const answer = await more.closed
    t.match(answer, '400 Bad Request', 'more bytes than promised')
    t.notMatch(answer, 'GARBAGE', 'are no part of the body')
    for (const bad of ['-1', '1e3', '3, 4', '0x10', '99999999999999999999', '']) {
      const odd = wire(t, port, { text: `${head('POST', '/text', `Content-Length: ${bad}`)}abc` })
      odd.socket.end()
      t.notMatch(await odd.closed, /200 OK/, `"${bad}"`)
    }
    const both = wire(t, port, {
      text: head('POST', '/text', 'Content-Length: 3', 'Transfer-Encoding: chunked'),
    })
    t.equal(statusOf(await both.closed), 400, 'two lengths at once')
  })

  t.equal((await fetch(`${url}/hello`)).status, 200, 'and it serves on')
})

t.test('who is too slow is let go, and nobody waits for him', async (t) => {
  const limits = { headers: 400, request: 800, keepAlive: 300, idle: 1500, check: 50 }
  const { url, port } = await listen(t, echo, limits)
  const began = performance.now()
  const drip = async (begin: string) => {
    const slow = wire(t, port, { text: begin })
    while (!slow.socket.destroyed && performance.now() - began < 15_000) {
      slow.socket.write('x')
      await sleep(50)
    }
    return slow.closed
  }
  const slowly = Promise.all([
    drip('GET /hello HTTP/1.1\r\nX-Slow: '),
    drip(`${head('POST', '/text', 'Content-Length: 60000')}`),
    drip('G'.repeat(1)),
    wire(t, port).closed,
    wire(t, port, { text: head('GET', '/hello') }).closed,
  ])
  t.equal((await fetch(`${url}/hello`)).status, 200, 'others are served')
  const [headers, body, , silence, idle] = await slowly
  t.ok(performance.now() - began < 12_000)
  t.ok([408, 0].includes(statusOf(headers)), 'headers, a byte at a time')
  t.ok([408, 0].includes(statusOf(body)), 'a body, a byte at a time')
  t.ok([408, 0].includes(statusOf(silence)), 'not a word')
  t.equal(statusOf(idle), 200, 'a connection that is kept for nothing')
})

t.test('headers without end are refused', async (t) => {
  const { url, port } = await listen(t, echo)
  const many = Array.from({ length: 5000 }, (_, n) => `X-${n}: ${n}`)
  for (const [title, lines] of [
    ['thousands of them', many],
    ['one of a megabyte', [`X-Long: ${'x'.repeat(1 << 20)}`]],
    ['one with a megabyte of name', [`${'X'.repeat(1 << 20)}: x`]],
  ] as const) {
    const asked = wire(t, port, { text: head('GET', '/hello', ...lines) })
    t.ok([431, 400, 0].includes(statusOf(await asked.closed)), title)
  }
  const long = wire(t, port, { text: head('GET', `/${'x'.repeat(1 << 20)}`) })
  t.ok([431, 414, 400, 0].includes(statusOf(await long.closed)), 'an address of a megabyte')
  t.equal((await fetch(`${url}/hello`)).status, 200)
})

/** A server that answers at once on `/`, on `/slow` when it is let, and reads bodies. */
async function crowded(t: Test, most: number) {
  let letSlow: (() => void) | undefined
  let accepted = 0
  const server = createServer((asked, answer) => {
    asked.on('error', () => undefined)
    if (asked.url === '/slow') letSlow = () => answer.end('slow')
    else asked.resume().on('end', () => answer.end('hello'))
  })
  server.on('connection', () => {
    accepted += 1
  })
  const connections = new Connections(silent, most)
  connections.watch(server)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    connections.destroyAll()
    server.close()
  })
  const { port } = server.address() as AddressInfo
  const hello = async (from = '127.0.0.1') => {
    const asked = wire(t, port, { text: head('GET', '/', 'Connection: close'), from })
    return statusOf(await asked.closed)
  }
  return {
    ...{ connections, port, hello },
    /** Waits until so many connections have come. */
    come: (count: number) => until(() => accepted >= count, `${count} connections`),
    slowIsAsked: () => until(() => letSlow !== undefined, 'the slow request'),
    letSlow: () => letSlow?.(),
  }
}

t.test('fifteen hundred half-open connections from one address do not keep others out', async (t) => {
  const { connections, port, hello } = await crowded(t, 100)
  const wires: Wire[] = []
  for (let n = 0; n < 1500; n += 1) {
    wires.push(wire(t, port, { text: n % 2 === 0 ? '' : 'GET / HTTP/1.1\r\n', from: '127.0.0.2' }))
    if (n % 100 === 99) {
      await Promise.all(
        wires.slice(-100).map(({ socket }) => (socket.connecting ? once(socket, 'connect') : 0)),
      )
      t.equal(await hello('127.0.0.3'), 200, `with ${n + 1} of them`)
    }
  }
  t.ok(connections.count <= 110, `${connections.count} are open`)
  t.equal(await hello('127.0.0.2'), 200, 'even he is served: he loses his oldest')
  const open = wires.map(({ socket }) => !socket.destroyed)
  t.ok(open.lastIndexOf(true) > 1400 && open.indexOf(true) > 1000, 'the oldest went, the newest stay')
})

t.test('the greediest address gives up its oldest, and work under way is left alone', async (t) => {
  const { port, hello, come, slowIsAsked, letSlow } = await crowded(t, 20)
  const working = wire(t, port, { text: head('GET', '/slow', 'Connection: close'), from: '127.0.0.2' })
  const modest = Array.from({ length: 4 }, () => wire(t, port, { from: '127.0.0.3' }))
  await slowIsAsked()
  await come(5)
  const greedy = Array.from({ length: 60 }, () => wire(t, port, { from: '127.0.0.2' }))
  await come(65)
  t.equal(await hello(), 200)
  t.equal(modest.filter(({ socket }) => socket.destroyed).length, 0, 'who takes little keeps it')
  await until(() => greedy.filter(({ socket }) => socket.destroyed).length >= 40, 'the oldest to go')
  letSlow()
  t.match(await working.closed, 'slow', 'the request that was being answered')
})

t.test('requests whose bodies never come hold no place that another needs', async (t) => {
  const { port, hello, come } = await crowded(t, 20)
  const stuck = Array.from({ length: 40 }, () =>
    wire(t, port, { text: `${head('POST', '/', 'Content-Length: 1000')}x`, from: '127.0.0.2' }),
  )
  await come(40)
  for (let n = 0; n < 5; n += 1) t.equal(await hello(), 200)
  t.ok(
    stuck.some(({ socket }) => !socket.destroyed),
    'he keeps what nobody else needs',
  )
})

t.test('with 64 file descriptors it turns connections away, and does not fall', async (t) => {
  const program = `
    import { pino } from 'pino'
    import Router from 'koa-router'
    import { Listener } from ${JSON.stringify(new URL('../../core/http/listener.js', import.meta.url).href)}
    const listener = new Listener('127.0.0.1', 0, pino({ level: 'silent' }))
    listener.use('test', new Router().get('/hello', (ctx) => { ctx.body = 'hello' }))
    await listener.open('port')
    console.log(listener.address.port)
    process.stdin.resume().on('end', () => process.exit(0))
  `
  const node = `exec ${JSON.stringify(process.execPath)} --input-type=module -e "$0"`
  const child = spawn('sh', ['-c', `ulimit -n 64; ${node}`, program], { stdio: ['pipe', 'pipe', 'inherit'] })
  t.teardown(() => child.kill('SIGKILL'))
  const ended = once(child, 'exit')
  const [line] = (await once(child.stdout, 'data')) as [Buffer]
  const port = Number(line.toString())
  const crowd = Array.from({ length: 300 }, (_, n) => wire(t, port, { from: `127.0.0.${2 + (n % 5)}` }))
  await until(() => crowd.some(({ socket }) => socket.destroyed), 'some to be turned away')
  const asked = wire(t, port, { text: head('GET', '/hello', 'Connection: close') })
  t.equal(statusOf(await asked.closed), 200)
  for (const { socket } of crowd) socket.destroy()
  child.stdin.end()
  t.same(await ended, [0, null])
})

t.test('draining', async (t) => {
  let release: (() => void) | undefined
  let hung = 0
  const routes = (router: Router) => {
    echo(router)
    router.get('/slow', async (ctx) => {
      await new Promise<void>((resolve) => {
        release = resolve
      })
      ctx.body = 'done'
    })
    router.get('/hung', () => {
      hung += 1
      return new Promise(() => undefined)
    })
  }

  await t.test('idle connections, and those that never spoke, are closed at once', async (t) => {
    const { listener, port } = await listen(t, routes)
    const agent = new Agent({ keepAlive: true })
    t.teardown(() => agent.destroy())
    const ask = () =>
      new Promise((resolve, reject) => {
        httpRequest({ port, host: '127.0.0.1', path: '/hello', agent }, (answer) =>
          answer.resume().on('end', resolve),
        )
          .on('error', reject)
          .end()
      })
    await Promise.all(Array.from({ length: 20 }, ask))
    const silent = Array.from({ length: 5 }, () => wire(t, port))
    await Promise.all(silent.map(({ socket }) => once(socket, 'connect')))
    await sleep(100)
    const began = performance.now()
    await listener.drain(never)
    t.ok(performance.now() - began < 3000, `${Math.round(performance.now() - began)} ms`)
    await Promise.all(silent.map(({ closed }) => closed))
    await t.rejects(ask(), 'nobody listens any more')
  })

  await t.test('a request under way is answered, and its connection closed behind it', async (t) => {
    const { listener, port } = await listen(t, routes)
    const asked = wire(t, port, { text: head('GET', '/slow') })
    await until(() => release !== undefined, 'the request')
    const drained = listener.drain(never)
    await sleep(100)
    release?.()
    const answer = await asked.closed
    t.match(answer, /200 OK.*connection: close.*done/is)
    await drained
  })

  await t.test('a request that comes too late is asked to try again', async (t) => {
    const { listener, port } = await listen(t, routes)
    const late = wire(t, port, { text: 'GET /hello HTTP/1.1\r\nHost: school\r\n' })
    await sleep(200)
    const drained = listener.drain(never)
    await sleep(100)
    late.socket.write('\r\n')
    const answer = await late.closed
    t.equal(statusOf(answer), 503)
    t.match(answer, /retry-after: \d+/i)
    t.match(answer, 'the server is stopping')
    await drained
  })

  await t.test('a request that hangs is given up after the limit', async (t) => {
    const { listener, port } = await listen(t, routes)
    const asked = wire(t, port, { text: head('GET', '/hung') })
    await until(() => hung > 0, 'the request')
    await listener.drain(AbortSignal.timeout(300))
    t.equal(await asked.closed, '')
    await listener.drain(never)
  })

  await t.test('a house with a hung request stops when its drain-seconds are over', async (t) => {
    let isAsked = false
    const hanging = definePlugin({
      name: 'hanging',
      api: 1,
      summary: 'Never answers.',
      start: (ctx) =>
        void ctx.http.router.get('/hung', () => {
          isAsked = true
          return new Promise(() => undefined)
        }),
    })
    const school = await boot({ plugins: [hanging], settings: { 'drain-seconds': '1' } })
    const hung = wire(t, Number(new URL(await school.url('httpd')).port), { text: head('GET', '/hung') })
    await until(() => isAsked, 'the request')
    await school.dispose()
    t.equal(await hung.closed, '')
  })
})

t.test("a laptop's uuid, which is a secret, is in no log line", async (t) => {
  const { url, log } = await listen(t, (router) => {
    router.get('/laptop/:uuid', (ctx) => {
      ctx.body = 'hello'
    })
  })
  const uuid = '01234567-89AB-cdef-0123-456789abcdef'
  const paths = [
    `/laptop/${uuid}`,
    `/laptop/${uuid}?uuid=${uuid}`,
    `/elsewhere/${uuid}/x`,
    `/elsewhere?uuid=${uuid}`,
    ...Array.from({ length: 60 }, (_, n) => `/${'x'.repeat(80 + n)}/${uuid}`),
  ]
  for (const path of paths) await (await fetch(url + path)).text()
  const lines = log.filter((line) => line.msg === 'request')
  t.equal(lines.length, paths.length)
  t.notMatch(JSON.stringify(log), /01234567/, 'nor a part of it')
  t.equal(lines[0]?.route, '/laptop/:uuid')
})

t.test('a port that cannot be had is named, with what to do', async (t) => {
  const other = createServer().listen(0, '127.0.0.1')
  await once(other, 'listening')
  t.teardown(() => void other.close())
  const { port: taken } = other.address() as AddressInfo
  const busy = new Listener('127.0.0.1', taken, silent)
  await t.rejects(busy.open(`httpd-port = ${taken}`), {
    code: 'PORT_BUSY',
    message: `httpd-port = ${taken}: port ${taken} on 127.0.0.1 is in use by another program`,
    hint: 'stop the other program, or choose another port',
  })
  await busy.drain(never)
  await t.rejects(new Listener('192.0.2.1', 0, silent).open('httpd-port = 0'), {
    code: 'PORT_REFUSED',
    hint: 'check the address in the option host',
  })

  const plain = definePlugin({
    name: 'plain',
    api: 1,
    summary: 'Serves on.',
    start: (ctx) =>
      void ctx.http.router.get('/plain', (it) => {
        it.body = 'hello'
      }),
  })
  const unlucky = definePlugin({
    name: 'unlucky',
    api: 1,
    summary: 'Wants a port that is taken.',
    options: { 'unlucky-port': port({ help: 'Port.', default: 0 }) },
    start: (ctx) => {
      ctx.http.listener('unlucky-port').get('/', () => undefined)
      ctx.http.router.get('/unlucky', (it) => {
        it.body = 'hello'
      })
    },
  })
  await t.rejects(boot({ plugins: [plain], settings: { 'httpd-port': String(taken) } }), {
    code: 'PORT_BUSY',
    message: /httpd-port/,
  })
  const school = await boot({ plugins: [plain, unlucky], settings: { 'unlucky-port': String(taken) } })
  t.teardown(() => school.dispose())
  const httpd = await school.url('httpd')
  const { plugins } = await school.status()
  t.match(plugins, [
    { name: 'plain', state: 'running' },
    { name: 'unlucky', state: 'failed', code: 'PORT_BUSY', message: /unlucky-port/, hint: /another port/ },
  ])
  t.equal((await fetch(`${httpd}/plain`)).status, 200)
  t.equal((await fetch(`${httpd}/unlucky`)).status, 404, 'a plugin that failed is gone from every port')
  t.equal((await fetch(`${httpd}/health`)).status, 503)
})
