import { once } from 'node:events'
import { createServer } from 'node:http'
import { type AddressInfo, connect, type Socket } from 'node:net'
import { setImmediate as turn } from 'node:timers/promises'
import fc from 'fast-check'
import t, { type Test } from 'tap'
import { Pipelines } from '../../core/http/pipelines.js'
import { runs } from '../support/rounds.js'

/** A server that answers with what it was asked and sent, and counts the requests that it has begun. */
async function serving(t: Test) {
  const begun: string[] = []
  const pipelines = new Pipelines(async (request, response) => {
    const { url = '' } = request
    begun.push(url)
    let body = ''
    for await (const piece of request) body += piece
    response.end(`<${url}|${body}>`)
  })
  const server = createServer()
  pipelines.watch(server)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  return { begun, port }
}

class Client {
  readonly socket: Socket
  heard = ''
  /** Answers that have come. */
  count = 0

  constructor(t: Test, port: number) {
    this.socket = connect(port, '127.0.0.1').setNoDelay(true)
    this.socket.on('error', () => undefined).setEncoding('latin1')
    this.socket.on('data', (piece) => {
      this.heard += piece
      this.count += String(piece).split('>').length - 1
    })
    t.teardown(() => this.socket.destroy())
  }

  get answers(): string[] {
    return [...this.heard.matchAll(/<([^>]*)>/g)].map(([, text = '']) => text)
  }

  async until(isDone: () => boolean): Promise<void> {
    const began = performance.now()
    while (!isDone() && !this.socket.destroyed && performance.now() - began < 60_000) await turn()
  }
}

const get = (path: string): string => `GET ${path} HTTP/1.1\r\nHost: school\r\n\r\n`
const post = (path: string, body: string): string =>
  `POST ${path} HTTP/1.1\r\nHost: school\r\nContent-Length: ${body.length}\r\n\r\n${body}`

t.test('all requests of one connection are answered, in their order', async (t) => {
  const { port } = await serving(t)
  const client = new Client(t, port)
  const long = 'x'.repeat(20_000)
  const asked = Array.from({ length: 3000 }, (_, n) =>
    n % 500 === 7 ? post(`/${n}`, n === 7 ? long : 'body') : get(`/${n}`),
  )
  client.socket.write(asked.join(''))
  await client.until(() => client.count >= asked.length)
  t.same(
    client.answers,
    asked.map((_, n) => `/${n}|${n % 500 === 7 ? (n === 7 ? long : 'body') : ''}`),
  )
})

t.test('however requests are cut into pieces, they are understood', async (t) => {
  const { port } = await serving(t)
  const request = fc.oneof(
    fc.constant(get('/a')),
    fc.string({ maxLength: 3000, unit: fc.constantFrom('x', 'y') }).map((body) => post('/b', body)),
    fc.constant(
      'POST /c HTTP/1.1\r\nHost: school\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n',
    ),
  )
  const requests = fc.array(request, { minLength: 1, maxLength: 20 })
  const cuts = fc.array(fc.integer({ min: 1, max: 4000 }), { minLength: 1, maxLength: 10 })
  await fc.assert(
    fc.asyncProperty(requests, cuts, async (texts, lengths) => {
      const client = new Client(t, port)
      const all = texts.join('')
      for (let at = 0, n = 0; at < all.length; n += 1) {
        const length = lengths[n % lengths.length] ?? 1
        client.socket.write(all.slice(at, at + length))
        at += length
        await turn()
      }
      await client.until(() => client.count >= texts.length)
      client.socket.destroy()
      const paths = texts.map((text) => text.split(' ')[1])
      return JSON.stringify(client.answers.map((answer) => answer.split('|')[0])) === JSON.stringify(paths)
    }),
    runs(40),
  )
})

t.test('a flood of requests on a few connections leaves others their turn', async (t) => {
  const { port, begun } = await serving(t)
  const flood = Array.from({ length: 8 }, () => new Client(t, port))
  for (const { socket } of flood) socket.write(get('/flood').repeat(20_000))
  await flood[0]?.until(() => begun.length > 100)
  for (let n = 0; n < 20; n += 1) {
    const before = begun.length
    const good = new Client(t, port)
    good.socket.write(get(`/good${n}`))
    await good.until(() => good.count === 1)
    t.same(good.answers, [`/good${n}|`])
    t.ok(begun.length - before < 500, `${begun.length - before} requests were begun meanwhile`)
    good.socket.destroy()
  }
  t.ok(
    flood.every(({ answers }) => answers.length > 0),
    'and the flood is answered too',
  )
})

t.test('who does not fetch the answers is not read any further', async (t) => {
  const { port, begun } = await serving(t)
  const greedy = new Client(t, port)
  greedy.socket.pause().write(get(`/${'x'.repeat(500)}`).repeat(200_000))
  // It has stopped when nothing happens for many rounds.
  for (let last = -1, idle = 0; idle < 2000; idle += 1) {
    if (begun.length !== last) idle = 0
    last = begun.length
    await turn()
  }
  t.ok(begun.length < 100_000, `${begun.length} of 200,000 requests were begun`)
  const good = new Client(t, port)
  good.socket.write(get('/good'))
  await good.until(() => good.count === 1)
  t.same(good.answers, ['/good|'])
})

t.test('a client that goes in the middle of its requests leaves nothing to be done', async (t) => {
  const { port, begun } = await serving(t)
  const client = new Client(t, port)
  client.socket.write(get('/a').repeat(5000))
  await client.until(() => client.count > 10)
  client.socket.destroy()
  const good = new Client(t, port)
  good.socket.write(get('/good'))
  await good.until(() => good.count === 1)
  const then = begun.length
  for (let n = 0; n < 200; n += 1) await turn()
  t.ok(begun.length <= then + 2, 'its requests are not answered to no one')
  t.ok(then < 4000)
})
