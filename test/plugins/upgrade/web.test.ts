import { execFileSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { readdir, readFile, stat, writeFile } from 'node:fs/promises'
import { createServer, type ServerResponse } from 'node:http'
import { createServer as createSecureServer } from 'node:https'
import { networkInterfaces } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { Web } from '../../../plugins/upgrade/sources/web.js'
import { lacks, needs } from '../../support/needs.js'
import { until } from '../../system/server.js'
import { bring, site, soon } from './site.js'
import { md5, packed, send, sendPart, sha256, tagOf, upstream } from './upstream.js'

const tree = randomBytes(300_000)
const large = randomBytes(5 << 20)
const at = '/885-tree.tar.bz2'

const web = (url: string, template = '/{name}') => new Web(url + template, undefined, soon)
const folderOf = (t: Test) => t.testdir({})

t.test('a build is found beside its sum and manifest, and comes whole', async (t) => {
  const from = await upstream(t, packed('885', tree))
  const to = await site(t)
  await bring(web(from.url), to)
  t.strictSame(to.installed, [{ digest: sha256(tree), tree, contents: '{"name":"885"}\n' }])
  t.same(to.rooms, [[tree.length, tree.length * 5]], 'room is made before the first byte')
  t.same(to.steps.at(-1), [tree.length, tree.length])
  t.equal(from.count('GET', at), 1)
  t.equal(from.heard.find(({ request }) => request === `GET ${at}`)?.headers['accept-encoding'], 'identity')
})

t.test('an address that ends as a packed tree does is the only one that is asked for', async (t) => {
  const from = await upstream(t, {
    '/img/885.tree.tar.lzma': { bytes: tree },
    '/img/885.tree.tar.lzma.sha256': { bytes: Buffer.from(`${sha256(tree)} *885.tree.tar.lzma\n`) },
    '/img/885.tree.tar.lzma.md5': { bytes: Buffer.from('is not even looked at') },
    '/img/885.toc': { bytes: Buffer.from('toc') },
  })
  const to = await site(t)
  await bring(web(from.url, '/img/{name}.tree.tar.lzma'), to)
  t.match(to.installed, [{ contents: 'toc' }])
  t.equal(await web(from.url, '/other/{name}.tree.tar.lzma').find('885', to.signal), undefined)
  t.equal(from.requests.filter((one) => one.includes('/other/')).length, 1)
})

t.test('a name that a server does not have is asked for in both families, and no more', async (t) => {
  const from = await upstream(t)
  const to = await site(t)
  t.equal(await web(from.url).find('13.2.0_xo1.75+x', to.signal), undefined)
  t.equal(from.requests.length, 6)
  t.ok(from.requests.every((one) => one.startsWith('HEAD /13.2.0_xo1.75%2Bx')))
})

t.test('a build without a checksum is refused with words', async (t) => {
  const files = packed('885', tree)
  delete files[`${at}.md5`]
  const from = await upstream(t, files)
  await t.rejects(bring(web(from.url), await site(t)), {
    code: 'UNAVAILABLE',
    message: /885-tree\.tar\.bz2 has no checksum beside it/,
  })
  from.files.set(`${at}.md5`, { bytes: Buffer.from('<html>Welcome to the hotel</html>') })
  await t.rejects(bring(web(from.url), await site(t)), { message: /holds no md5 sum/ })
  from.files.set(`${at}.md5`, { bytes: Buffer.alloc(100_000, 'a') })
  await t.rejects(bring(web(from.url), await site(t)), { message: /is longer than 65536 bytes/ })
  t.equal(from.count('GET', at), 0, 'the tree is not even begun')
})

t.test('a build without a manifest is refused before its tree is fetched', async (t) => {
  const files = packed('885', tree)
  delete files['/885.contents']
  const from = await upstream(t, files)
  await t.rejects(bring(web(from.url), await site(t)), {
    message: /no manifest.*885\.contents nor .*885\.toc/,
  })
  t.equal(from.count('GET', at), 0)
})

t.test('a wrong checksum installs nothing and leaves nothing', async (t) => {
  const files = packed('885', tree)
  files[`${at}.md5`] = { bytes: Buffer.from(`${md5('other')}  885-tree.tar.bz2\n`) }
  const from = await upstream(t, files)
  const to = await site(t)
  await t.rejects(bring(web(from.url), to), { code: 'UNAVAILABLE', message: /not what its md5 sum says/ })
  t.same(to.installed, [])
  t.notOk((await readdir(to.folder)).includes('tree'))
  t.equal(from.count('GET', at), 1)
})

t.test('a source that dies again and again is gone on with where it ended', async (t) => {
  const step = 1_100_000
  const from = await upstream(
    t,
    packed('885', large, {
      get: (request, response) => sendPart(request, response, { bytes: large }, step),
    }),
  )
  const to = await site(t)
  await bring(web(from.url), to)
  t.ok(to.installed[0]?.tree.equals(large))
  const asked = from.heard.filter(({ request }) => request === `GET ${at}`).map(({ headers }) => headers)
  t.ok(asked.length >= 5, `${asked.length} connections`)
  t.equal(asked[0]?.range, undefined)
  for (const { range, 'if-range': only } of asked.slice(1)) {
    t.match(range, /^bytes=[1-9][0-9]*-$/)
    t.equal(only, tagOf(large))
  }
  const starts = asked.map(({ range = '0' }) => Number(/\d+/.exec(range)?.[0]))
  t.same(
    starts,
    [...starts].sort((a, b) => a - b),
    'each goes on behind the one before',
  )
})

t.test('a source that dies without getting on is given up after five tries', async (t) => {
  const from = await upstream(
    t,
    packed('885', large, {
      get: (request, response) => sendPart(request, response, { bytes: large }, 100_000),
    }),
  )
  const to = await site(t)
  await t.rejects(bring(web(from.url), to), { code: 'UNAVAILABLE', message: /885-tree\.tar\.bz2/ })
  t.equal(from.count('GET', at), 5)
  t.ok((await stat(join(to.folder, 'tree'))).size > 0, 'what has come is kept')
})

t.test('what an earlier run has left is gone on with', async (t) => {
  const from = await upstream(
    t,
    packed('885', large, {
      get: (request, response, times) =>
        times <= 5
          ? sendPart(request, response, { bytes: large }, 100_000)
          : send(request, response, { bytes: large }),
    }),
  )
  const folder = folderOf(t)
  await t.rejects(bring(web(from.url), await site(t, { folder })))
  const { size } = await stat(join(folder, 'tree'))
  t.ok(size > 0)
  const to = await site(t, { folder })
  await bring(web(from.url), to)
  t.ok(to.installed[0]?.tree.equals(large))
  t.equal(from.heard.at(-1)?.headers.range, `bytes=${size}-`)
  t.same(to.rooms[0], [large.length - size, large.length * 5])
})

t.test('a beginning of which nothing is known is not gone on with', async (t) => {
  const from = await upstream(t, packed('885', tree))
  for (const facts of ['', '{', '{"from":1}', '[]', `{"from":"${'x'.repeat(9000)}","sum":""}`]) {
    const to = await site(t)
    await writeFile(join(to.folder, 'tree'), 'the beginning of something else')
    await writeFile(join(to.folder, 'facts.json'), facts)
    await bring(web(from.url), to)
    t.ok(to.installed[0]?.tree.equals(tree), facts.slice(0, 20))
  }
})

t.test('the beginning of a build that has another sum now is begun anew', async (t) => {
  const from = await upstream(t, packed('885', tree))
  const to = await site(t)
  await writeFile(join(to.folder, 'tree'), 'x'.repeat(1000))
  await writeFile(
    join(to.folder, 'facts.json'),
    JSON.stringify({ from: `${from.url}${at}`, sum: 'md5:0', etag: tagOf(tree), size: tree.length }),
  )
  await bring(web(from.url), to)
  t.ok(to.installed[0]?.tree.equals(tree))
  t.equal(from.heard.at(-1)?.headers.range, undefined)
})

t.test('a beginning that was damaged on the disk is begun anew, once', async (t) => {
  const from = await upstream(t, packed('885', tree))
  const to = await site(t)
  const facts = { from: 'x', sum: `md5:${md5(tree)}`, etag: tagOf(tree), size: tree.length }
  await writeFile(join(to.folder, 'tree'), Buffer.alloc(1000))
  await writeFile(join(to.folder, 'facts.json'), JSON.stringify(facts))
  await bring(web(from.url), to)
  t.ok(to.installed[0]?.tree.equals(tree))
  t.equal(from.count('GET', at), 2)
})

t.test('a server that knows no ranges is begun anew each time', async (t) => {
  const from = await upstream(
    t,
    packed('885', tree, {
      get(_, response, times) {
        response.writeHead(200, { ETag: tagOf(tree), 'Content-Length': tree.length })
        if (times < 3) response.write(tree.subarray(0, 100_000), () => response.destroy())
        else response.end(tree)
      },
    }),
  )
  const to = await site(t)
  await bring(web(from.url), to)
  t.ok(to.installed[0]?.tree.equals(tree))
  t.equal(from.count('GET', at), 3)
})

t.test('without anything to know a file by, no part of it is asked for', async (t) => {
  const from = await upstream(
    t,
    packed('885', tree, {
      get(_, response, times) {
        response.writeHead(200, { 'Content-Length': tree.length })
        if (times < 2) response.write(tree.subarray(0, 100_000), () => response.destroy())
        else response.end(tree)
      },
    }),
  )
  const to = await site(t)
  await bring(web(from.url), to)
  t.ok(to.installed[0]?.tree.equals(tree))
  t.ok(from.heard.every(({ headers }) => headers.range === undefined))
})

t.test('a part other than was asked for is not put behind what is here', async (t) => {
  const from = await upstream(
    t,
    packed('885', tree, {
      get(request, response, times) {
        if (times === 1) return sendPart(request, response, { bytes: tree }, 100_000)
        if (times > 2) return send(request, response, { bytes: tree })
        const start = tree.length - 10
        response.writeHead(206, {
          ETag: tagOf(tree),
          'Content-Range': `bytes ${start}-${tree.length - 1}/${tree.length}`,
        })
        response.end(tree.subarray(start))
      },
    }),
  )
  const to = await site(t)
  await bring(web(from.url), to)
  t.ok(to.installed[0]?.tree.equals(tree))
})

t.test('a server that changes its bytes meanwhile is begun anew, with the new sum', async (t) => {
  const newer = randomBytes(300_000)
  const from = await upstream(
    t,
    packed('885', tree, {
      get(request, response) {
        sendPart(request, response, { bytes: tree }, 100_000)
        for (const [path, file] of Object.entries(packed('885', newer))) from.files.set(path, file)
      },
    }),
  )
  const to = await site(t)
  await bring(web(from.url), to)
  t.equal(to.installed.length, 1)
  t.ok(to.installed[0]?.tree.equals(newer))
  t.equal(to.installed[0]?.digest, sha256(newer))
})

t.test('a server that changes its bytes each time is given up', async (t) => {
  const next = (): ReturnType<typeof packed> => {
    const bytes = randomBytes(300_000)
    return packed('885', bytes, {
      get(request, response) {
        sendPart(request, response, { bytes }, 100_000)
        for (const [path, file] of Object.entries(next())) from.files.set(path, file)
      },
    })
  }
  const from = await upstream(t, next())
  const to = await site(t)
  await t.rejects(bring(web(from.url), to), { message: /has changed again while it was being fetched/ })
  t.same(to.installed, [])
})

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

t.test('redirects are followed to web servers, five of them', async (t) => {
  const from = await upstream(t, packed('885', tree))
  let hops = 5
  const hop = await upstream(t)
  for (const path of Object.keys(packed('885', tree))) {
    hop.files.set(path, {
      bytes: tree,
      get: (_, response) => response.writeHead(302, { Location: `/1${path}` }).end(),
      head: (_, response) => response.writeHead(307, { Location: `/1${path}` }).end(),
    })
    for (let number = 1; number <= 5; number += 1) {
      const answer = (response: ServerResponse) => {
        const to = number + 1 >= hops ? `${from.url}${path}` : `/${number + 1}${path}`
        response.writeHead(301, { Location: to }).end()
      }
      hop.files.set(`/${number}${path}`, {
        bytes: tree,
        get: (_, response) => answer(response),
        head: (_, response) => answer(response),
      })
    }
  }
  const to = await site(t)
  await bring(web(hop.url), to)
  t.ok(to.installed[0]?.tree.equals(tree))
  hops = 6
  await t.rejects(bring(web(hop.url), await site(t)), { message: /leads on more than 5 times/ })
})

t.test('redirects to files, other schemes and inner networks are not followed', async (t) => {
  const targets = {
    'file:///etc/passwd': /leads to a file: address/,
    'ftp://h/x': /leads to a ftp: address/,
    'gopher://127.0.0.1:6379/_FLUSHALL': /leads to a gopher: address/,
    'http://169.254.169.254/latest/meta-data/': /where only this machine or its own network gets/,
    'http://[fe80::1]/': /where only this machine or its own network gets/,
    'http://[::ffff:169.254.169.254]/': /where only this machine or its own network gets/,
    'http://2852039166/': /where only this machine or its own network gets/,
    'http://': /leads to what is no address/,
  }
  for (const [target, message] of Object.entries(targets)) {
    const from = await upstream(t, {
      '/885-tree.tar.xz': {
        bytes: tree,
        head: (_, response) => response.writeHead(302, { Location: target }).end(),
      },
    })
    await t.rejects(bring(web(from.url), await site(t)), { code: 'UNAVAILABLE', message }, target)
  }
})

t.test('a server elsewhere cannot lead to this machine, by address or by name', async (t) => {
  const outside = Object.values(networkInterfaces())
    .flat()
    .find((one) => one?.family === 'IPv4' && !one.internal)?.address
  if (outside === undefined) return lacks(t, 'needs a network', 'this machine has loopback alone')
  const secret = await upstream(t, packed('885', tree))
  for (const host of ['127.0.0.1', 'localhost', '[::1]', '0']) {
    const { port } = new URL(secret.url)
    const server = createServer((request, response) =>
      response.writeHead(302, { Location: `http://${host}:${port}${request.url}` }).end(),
    )
    await new Promise<void>((resolve) => server.listen(0, outside, resolve))
    t.teardown(() => server.close())
    const address = server.address()
    const at = typeof address === 'object' ? address?.port : 0
    await t.rejects(
      bring(web(`http://${outside}:${at}`), await site(t)),
      { message: /where only this machine or its own network gets/ },
      host,
    )
  }
  t.same(secret.requests, [])
})

t.test('a password goes to its own server only, and into no message', async (t) => {
  const password = 'Basic c2Nob29sOlNFQ1JFVA=='
  const away = await upstream(t, packed('885', tree))
  const from = await upstream(t, packed('885', tree))
  from.files.set(at, {
    bytes: tree,
    get: (_, response) => response.writeHead(302, { Location: `${away.url}${at}?token=SECRET` }).end(),
  })
  const source = new Web(`${from.url}/{name}`, password, soon)
  away.files.set(`${at}?token=SECRET`, { bytes: tree, get: (_, response) => response.writeHead(403).end() })
  const thrown = await bring(source, await site(t)).catch((error: Error) => error)
  t.match(thrown, { message: /answers 403 Forbidden/ })
  t.notMatch(JSON.stringify([thrown, (thrown as Error).message]), /SECRET|c2Nob29s/)
  t.ok(from.heard.every(({ headers }) => headers.authorization === password))
  t.ok(away.heard.length > 0 && away.heard.every(({ headers }) => headers.authorization === undefined))
})

t.test('a server with a certificate that nobody vouches for is not believed', async (t) => {
  if (!needs(t, 'openssl', 'openssl')) return
  const folder = folderOf(t)
  const [key, cert] = [join(folder, 'key'), join(folder, 'cert')]
  const made = [
    'req',
    '-x509',
    '-newkey',
    'rsa:2048',
    '-nodes',
    '-keyout',
    key,
    '-out',
    cert,
    '-subj',
    '/CN=localhost',
  ]
  execFileSync('openssl', made, { stdio: 'ignore' })
  let asked = 0
  const server = createSecureServer(
    { key: await readFile(key), cert: await readFile(cert) },
    (_, response) => {
      asked += 1
      response.end()
    },
  )
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => server.close())
  const address = server.address()
  const port = typeof address === 'object' ? address?.port : 0
  const found = web(`https://localhost:${port}`).find('885', (await site(t)).signal)
  await t.rejects(found, { code: 'UNAVAILABLE', message: /https:\/\/localhost.*self-signed certificate/ })
  t.equal(asked, 0)
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

t.test('who stops it finds what has come', async (t) => {
  const from = await upstream(
    t,
    packed('885', tree, {
      get(_, response) {
        response.writeHead(200, { ETag: tagOf(tree), 'Content-Length': tree.length })
        response.write(tree.subarray(0, 200_000))
      },
    }),
  )
  const to = await site(t)
  const bringing = bring(web(from.url), to)
  await until(() => (to.steps.at(-1)?.[0] ?? 0) >= 200_000, 'most of it')
  to.stop.abort(new Error('the server is stopping'))
  await t.rejects(bringing, { message: 'the server is stopping' })
  t.equal((await stat(join(to.folder, 'tree'))).size, 200_000)
  t.match(JSON.parse(await readFile(join(to.folder, 'facts.json'), 'utf8')), { sum: `md5:${md5(tree)}` })
})
