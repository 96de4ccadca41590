import { randomBytes } from 'node:crypto'
import { readdir, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { Partial } from '../../../plugins/upgrade/download/partial.js'
import { Web } from '../../../plugins/upgrade/sources/web.js'
import { until } from '../../support/core/server-process.js'
import { bring, site, soon } from '../../support/upgrade/build-site.js'
import { md5, packed, send, sendPart, sha256, tagOf, upstream } from '../../support/upgrade/upstream.js'

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
    code: 'REFUSED',
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
  await t.rejects(bring(web(from.url), to), { code: 'DAMAGED', message: /not what its md5 sum says/ })
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
    JSON.stringify({
      ...{ from: `${from.url}${at}`, sum: 'md5:0', etag: tagOf(tree), size: tree.length },
      flushed: 1000,
    }),
  )
  await bring(web(from.url), to)
  t.ok(to.installed[0]?.tree.equals(tree))
  t.equal(from.heard.at(-1)?.headers.range, undefined)
})

t.test('a beginning that was damaged on the disk is begun anew, once', async (t) => {
  const from = await upstream(t, packed('885', tree))
  const to = await site(t)
  const facts = { from: 'x', sum: `md5:${md5(tree)}`, etag: tagOf(tree), size: tree.length, flushed: 1000 }
  await writeFile(join(to.folder, 'tree'), Buffer.alloc(1000))
  await writeFile(join(to.folder, 'facts.json'), JSON.stringify(facts))
  await bring(web(from.url), to)
  t.ok(to.installed[0]?.tree.equals(tree))
  t.equal(from.count('GET', at), 2)
})

t.test('after a power cut only what was flushed is gone on with: behind it there may be zeros', async (t) => {
  const from = await upstream(t, packed('885', tree))
  const facts = { from: 'x', sum: `md5:${md5(tree)}`, etag: tagOf(tree), size: tree.length }
  for (const [noted, range] of [
    [{ flushed: 5000, boot: 'another' }, 'bytes=5000-'],
    [{ flushed: 0, boot: 'another' }, undefined],
    // As earlier versions noted it.
    [{}, undefined],
    [{ flushed: -1 }, undefined],
    [{ flushed: '9' }, undefined],
  ] as const) {
    const to = await site(t)
    await writeFile(join(to.folder, 'tree'), Buffer.concat([tree.subarray(0, 5000), Buffer.alloc(3000)]))
    await writeFile(join(to.folder, 'facts.json'), JSON.stringify({ ...facts, ...noted }))
    const asked = from.count('GET', at)
    await bring(web(from.url), to)
    t.ok(to.installed[0]?.tree.equals(tree), JSON.stringify(noted))
    t.equal(from.heard.at(-1)?.headers.range, range)
    t.equal(from.count('GET', at), asked + 1, 'nothing has to be fetched twice')
  }
})

t.test('what comes is flushed now and then, and how far is noted behind the flush', async (t) => {
  const partial = await Partial.open(folderOf(t))
  await partial.begin({ from: 'x', sum: 'md5:0' })
  const chunk = Buffer.alloc(1 << 20, 7)
  const noted = async () =>
    JSON.parse(await readFile(join(partial.path, '..', 'facts.json'), 'utf8')).flushed as number
  const seen = new Set<number>()
  await t.rejects(
    partial.append(async (add) => {
      for (let count = 0; count < 40; count += 1) {
        await add(chunk)
        seen.add(await noted())
      }
      throw new Error('it broke off')
    }),
    { message: 'it broke off' },
  )
  t.same([...seen], [0, 16 << 20, 32 << 20])
  t.equal(await noted(), 40 << 20, 'also where it breaks off')
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
