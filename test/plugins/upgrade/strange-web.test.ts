import { randomBytes } from 'node:crypto'
import { readdir, stat, writeFile } from 'node:fs/promises'
import type { ServerResponse } from 'node:http'
import { join } from 'node:path'
import t from 'tap'
import { Web } from '../../../plugins/upgrade/sources/web.js'
import { bring, site, soon } from '../../support/upgrade/build-site.js'
import { md5, packed, send, tagOf, upstream } from '../../support/upgrade/upstream.js'

const tree = randomBytes(300_000)
const at = '/885-tree.tar.bz2'

const web = (url: string, template = '/{name}') => new Web(url + template, undefined, soon)

t.test('mirrors that tag one file differently are one file', async (t) => {
  const modified = 'Mon, 02 Mar 2026 02:30:00 GMT'
  const from = await upstream(
    t,
    packed('885', tree, {
      get(_, response, times) {
        const headers = {
          ETag: `"mirror-${times}"`,
          'Last-Modified': modified,
          'Content-Length': tree.length,
        }
        response.writeHead(200, headers)
        if (times < 4) response.write(tree.subarray(0, 100_000), () => response.destroy())
        else response.end(tree)
      },
    }),
  )
  const to = await site(t)
  await bring(web(from.url), to)
  t.ok(to.installed[0]?.tree.equals(tree))
})

t.test('a length that does not fit is refused before a byte is read', async (t) => {
  const huge = { 'Content-Length': String(1e15 - 1) }
  const from = await upstream(
    t,
    packed('885', tree, { head: (_, response) => response.writeHead(200, huge).end() }),
  )
  await t.rejects(bring(web(from.url), await site(t)), { code: 'NO_SPACE' })
  t.equal(from.count('GET', at), 0)
})

t.test('a length that was not told, and turns out not to fit, is refused', async (t) => {
  const from = await upstream(
    t,
    packed('885', tree, {
      head: (_, response) => response.writeHead(200, { 'Transfer-Encoding': 'chunked' }).end(),
      get: (_, response) => response.writeHead(200, { 'Content-Length': String(1e12) }).write('x'),
    }),
  )
  await t.rejects(bring(web(from.url), await site(t)), { code: 'NO_SPACE', message: /is too large/ })
})

t.test('what turns out not to fit may fit later: what has come of it stays', async (t) => {
  const total = tree.length
  const from = await upstream(
    t,
    packed('885', tree, {
      head: (_, response) => response.writeHead(200, { 'Transfer-Encoding': 'chunked' }).end(),
    }),
  )
  const to = await site(t, { spare: 1000 })
  await writeFile(join(to.folder, 'tree'), tree.subarray(0, 5000))
  const facts = { from: '', sum: `md5:${md5(tree)}`, etag: tagOf(tree), size: total, flushed: 5000 }
  await writeFile(join(to.folder, 'facts.json'), JSON.stringify(facts))
  await t.rejects(bring(web(from.url), to), { code: 'NO_SPACE', message: /is too large/ })
  t.equal((await stat(join(to.folder, 'tree'))).size, 5000)
})

t.test('a body without an end ends where it does not fit, and is thrown away', async (t) => {
  const from = await upstream(
    t,
    packed('885', tree, {
      head: (_, response) => response.writeHead(200, { 'Transfer-Encoding': 'chunked' }).end(),
      get(_, response) {
        response.writeHead(200)
        const more = () =>
          response.write(Buffer.alloc(65_536), () => !response.destroyed && setImmediate(more))
        more()
      },
    }),
  )
  const to = await site(t, { spare: 3_000_000 })
  await t.rejects(bring(web(from.url), to), { code: 'NO_SPACE', message: /is too large/ })
  t.ok((to.steps.at(-1)?.[0] ?? 0) <= 3_000_000)
  t.notOk((await readdir(to.folder)).includes('tree'))
})

t.test('a file whose length nobody tells comes whole all the same', async (t) => {
  const from = await upstream(
    t,
    packed('885', tree, {
      head: (_, response) => response.writeHead(405).end(),
      get(_, response) {
        response.writeHead(200)
        response.end(tree)
      },
    }),
  )
  const to = await site(t)
  await bring(web(from.url), to)
  t.ok(to.installed[0]?.tree.equals(tree))
  t.same(to.rooms, [[0, tree.length * 5]], 'room is made when its size is known')
})

t.test('silence and trickles are not waited for', async (t) => {
  const answers: Record<string, (response: ServerResponse) => void> = {
    'no answer': () => undefined,
    'no body': (response) => response.writeHead(200).flushHeaders(),
    trickle(response) {
      response.writeHead(200)
      const drip = setInterval(() => (response.destroyed ? clearInterval(drip) : response.write('x')), 20)
    },
  }
  for (const [what, answer] of Object.entries(answers)) {
    const from = await upstream(
      t,
      packed('885', tree, {
        get: (_, response) => answer(response),
      }),
    )
    const to = await site(t)
    const began = performance.now()
    await t.rejects(
      bring(web(from.url), to),
      { message: /has not answered within|sent next to nothing for/ },
      what,
    )
    t.ok(performance.now() - began >= 5 * soon.idle * 0.9, 'but five times over')
    t.equal(from.count('GET', at), 5)
  }
})

t.test('headers that never end are not waited for', async (t) => {
  const from = await upstream(t, {
    '/885-tree.tar.xz': {
      bytes: tree,
      head(request) {
        const { socket } = request
        socket.write('HTTP/1.1 200 OK\r\n')
        const drip = setInterval(
          () => (socket.destroyed ? clearInterval(drip) : socket.write('a: b\r\n')),
          50,
        )
      },
    },
  })
  await t.rejects(bring(web(from.url), await site(t)), { message: /has not answered within 0\.4 s/ })
})

t.test('what a server packs on the way is refused', async (t) => {
  const from = await upstream(t, packed('885', tree, { headers: { 'Content-Encoding': 'gzip' } }))
  await t.rejects(bring(web(from.url), await site(t)), { message: /comes packed \(Content-Encoding: gzip\)/ })
})

t.test('refusals are final, faults of the server are not', async (t) => {
  const answering = (status: number, then = send) =>
    packed('885', tree, {
      get: (request, response, times) =>
        times < 3 ? response.writeHead(status).end() : then(request, response, { bytes: tree }),
    })
  for (const status of [500, 502, 503, 429, 408]) {
    const from = await upstream(t, answering(status))
    const to = await site(t)
    await bring(web(from.url), to)
    t.equal(to.installed.length, 1, String(status))
  }
  for (const status of [401, 403, 418]) {
    const from = await upstream(t, answering(status))
    await t.rejects(bring(web(from.url), await site(t)), { message: new RegExp(`answers ${status}`) })
    t.equal(from.count('GET', at), 1)
  }
})

t.test('a server that refuses what it does not have is asked for the rest', async (t) => {
  const files = packed('885', tree)
  const refusing = {
    bytes: tree,
    head: (_: unknown, response: ServerResponse) => response.writeHead(403).end(),
  }
  const from = await upstream(t, { ...files, '/885-tree.tar.xz': refusing, '/602-tree.tar.xz': refusing })
  const to = await site(t)
  await bring(web(from.url), to)
  t.ok(to.installed[0]?.tree.equals(tree))
  await t.rejects(web(from.url).find('602', to.signal), { message: /602-tree\.tar\.xz answers 403/ })
})

t.test('a server that is not there is said so at once', async (t) => {
  const from = await upstream(t)
  await from.close()
  await t.rejects(bring(web(from.url), await site(t)), { message: /ECONNREFUSED|ended|broke/ })
})
