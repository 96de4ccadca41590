import { execFileSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { createServer, type ServerResponse } from 'node:http'
import { createServer as createSecureServer } from 'node:https'
import { networkInterfaces } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { Web } from '../../../plugins/upgrade/sources/web.js'
import { lacks, needs } from '../../support/needs.js'
import { bring, site, soon } from '../../support/upgrade/build-site.js'
import { packed, upstream } from '../../support/upgrade/upstream.js'

const tree = randomBytes(300_000)
const at = '/885-tree.tar.bz2'

const web = (url: string, template = '/{name}') => new Web(url + template, undefined, soon)
const folderOf = (t: Test) => t.testdir({})

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
    await t.rejects(bring(web(from.url), await site(t)), { code: 'REFUSED', message }, target)
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
