import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { startServer, until } from '../../../support/core/server-process.js'
import { needs } from '../../../support/needs.js'
import { fill, openHouse, RawClient, rsyncsOf } from '../../../support/rsync/rsync-server.js'
import { temporaryDirectory } from '../../../support/temporary-directory.js'

t.setTimeout(300_000)

const greeting = /^@RSYNCD: \d\d\.\d+[^\n]*\n/
const all = 'builds         \tall builds\nfilms          \t\n'

t.test('clients of every protocol list and fetch the same', async (t) => {
  if (!needs(t, 'rsync', 'rsync')) return
  const { rsync, pub, beside } = await openHouse(t)
  await fill(join(pub, 'films'), { 'a/one': 'one', 'two words': 'two', año: 'three' })
  for (const protocol of ['29', '30', '31', '32']) {
    const list = await rsync(`--protocol=${protocol}`, '::')
    t.equal(list.code, 0, list.err)
    t.equal(list.out, all)
    const to = join(beside, protocol)
    const fetched = await rsync('-a', `--protocol=${protocol}`, '::films/', to)
    t.equal(fetched.code, 0, fetched.err)
    const again = await rsync('-ain', '--checksum', '--delete', `--protocol=${protocol}`, '::films/', to)
    t.same([again.code, again.out], [0, ''])
  }
})

t.test('old clients shake hands as they did, to the list and to the OK of a module', async (t) => {
  if (!needs(t, 'rsync', 'rsync')) return
  const { port, pub } = await openHouse(t)
  await fill(join(pub, 'films'), { one: 'one' })
  for (const [name, line] of [
    ['2.6.9', '@RSYNCD: 29\n'],
    ['3.0.9', '@RSYNCD: 30.0\n'],
    ['3.2.7', '@RSYNCD: 32.0 sha512 sha256 sha1 md5 md4\n'],
  ] as const) {
    for (const asks of ['\n', '#list\n']) {
      const lister = new RawClient(t, port)
      lister.say(line)
      await until(() => greeting.test(lister.heard), 'the greeting')
      lister.say(asks)
      const heard = (await lister.closed).replace(greeting, '')
      t.equal(heard, `${all}@RSYNCD: EXIT\n`, `${name} ${JSON.stringify(asks)}`)
    }
    const client = new RawClient(t, port)
    client.say(line)
    await until(() => greeting.test(client.heard), 'the greeting')
    client.say('films\n')
    await until(() => client.heard.replace(greeting, '') === '@RSYNCD: OK\n', `the OK of ${name}`)
  }
})

t.test('a client from before protocol 25 knows the end of a list by that of the connection', async (t) => {
  if (!needs(t, 'rsync', 'rsync')) return
  const { port } = await openHouse(t)
  const client = new RawClient(t, port)
  client.say('@RSYNCD: 24\n\n')
  t.equal((await client.closed).replace(greeting, ''), 'builds         \tall builds\n')
})

t.test('who says all at once is greeted all the same before he is answered', async (t) => {
  if (!needs(t, 'rsync', 'rsync')) return
  const { port, pub, root } = await openHouse(t)
  await fill(join(pub, 'films'), { one: 'one' })
  for (const [said, answer] of [
    ['@RSYNCD: 29\n\n', `${all}@RSYNCD: EXIT\n`],
    ['@RSYNCD: 29\nnope\n', "@ERROR: Unknown module 'nope'\n"],
    ['GET / HTTP/1.0\r\n\r\n', '@ERROR: protocol startup error\n'],
    ['@RSYNCD: 29\nfilms\n', '@RSYNCD: OK\n'],
  ] as const) {
    for (let turn = 0; turn < 10; turn += 1) {
      const client = new RawClient(t, port)
      client.say(said)
      await until(() => client.heard.endsWith(answer), 'the answer')
      t.match(client.heard, greeting)
      t.equal(client.heard.replace(greeting, ''), answer)
      client.socket.destroy()
    }
  }
  await until(async () => (await rsyncsOf(root)).length === 0, 'all rsyncs to be gone')
})

t.test('who does not wait to be greeted is, before he is answered', async (t) => {
  if (!needs(t, 'rsync', 'rsync')) return
  const { port, pub, root } = await openHouse(t, { 'rsync-connections-each': '1' })
  await fill(join(pub, 'films'), { one: 'one' })
  const taking = new RawClient(t, port)
  await taking.ask('films\n')
  await until(() => taking.heard.endsWith('@RSYNCD: OK\n'), 'the only place to be taken')
  for (const [said, answer] of [
    ['\n', `${all}@RSYNCD: EXIT\n`],
    ['nope\n', "@ERROR: Unknown module 'nope'\n"],
    ['films\n', '@ERROR: max connections (1) reached -- try again later\n'],
    ['\0\n', '@ERROR: protocol startup error\n'],
  ] as const) {
    for (let pause = 0; pause < 10; pause += 1) {
      const client = new RawClient(t, port)
      client.socket.setNoDelay(true)
      client.say('@RSYNCD: 29\n')
      await sleep(pause)
      client.say(said)
      await until(() => client.heard.endsWith(answer), 'the answer')
      t.match(client.heard, greeting)
      t.equal(client.heard.replace(greeting, ''), answer)
      client.socket.destroy()
    }
  }
  taking.socket.destroy()
  await until(async () => (await rsyncsOf(root)).length === 0, 'all rsyncs to be gone')
})

t.test('who waits to be greeted first is', async (t) => {
  if (!needs(t, 'rsync', 'rsync')) return
  const { port, root } = await openHouse(t)
  const client = new RawClient(t, port)
  await until(() => greeting.test(client.heard), 'the greeting')
  t.same(await rsyncsOf(root), [], 'and no rsync stands by for him')
})

t.test('a client may take its time, byte by byte', async (t) => {
  if (!needs(t, 'rsync', 'rsync')) return
  const { port, pub } = await openHouse(t)
  await fill(join(pub, 'films'), { one: 'one' })
  const client = new RawClient(t, port)
  client.socket.setNoDelay(true)
  for (const character of '@RSYNCD: 31.0\nfilms\n') {
    client.say(character)
    await new Promise(setImmediate)
  }
  await until(() => client.heard.endsWith('@RSYNCD: OK\n'), 'the OK')
})

t.test('early input reaches rsync', async (t) => {
  if (!needs(t, 'rsync', 'rsync')) return
  const { rsync, pub, beside } = await openHouse(t)
  await fill(join(pub, 'films'), { one: 'one' })
  const input = join(beside, 'input')
  await writeFile(input, '#list\n@RSYNCD: 12\n'.repeat(280))
  const fetched = await rsync('-a', `--early-input=${input}`, '::films/', join(beside, 'to'))
  t.equal(fetched.code, 0, fetched.err)
})

t.test('everyone is shown the message, once and before anything else', async (t) => {
  if (!needs(t, 'rsync', 'rsync')) return
  const { rsync, pub, beside } = await openHouse(t, { 'rsync-motd': '@ERROR no: Escuela\u202e 42' })
  await fill(join(pub, 'films'), { one: 'one' })
  const shown = ' @ERROR no: Escuela\\u202e 42\n'
  t.equal((await rsync('::')).out, shown + all)
  const fetched = await rsync('-a', '::films/', join(beside, 'to'))
  t.same([fetched.code, fetched.out], [0, shown])
})

t.test('a client is told in words what was wrong', async (t) => {
  if (!needs(t, 'rsync', 'rsync')) return
  const { rsync, port, root } = await openHouse(t)
  t.match((await rsync('::nope')).err, /^@ERROR: Unknown module 'nope'\n/)
  t.match((await rsync('::no\u001b[2Jpe')).err, /^@ERROR: Unknown module 'no\\u001b\[2Jpe'\n/)
  for (const [said, answer] of [
    ['GET / HTTP/1.1\r\n\r\n', '@ERROR: protocol startup error\n'],
    ['@RSYNCD: 29\n#frobnicate\n', "@ERROR: Unknown command '#frobnicate'\n"],
    ['@RSYNCD: 29\n../../etc\n', "@ERROR: Unknown module '../../etc'\n"],
    ['@RSYNCD: 29\n[films]\n', "@ERROR: Unknown module '[films]'\n"],
    [`@RSYNCD: 29\n${'x'.repeat(900)}\n`, `@ERROR: Unknown module '${'x'.repeat(80)}'\n`],
    ['x'.repeat(100_000), '@ERROR: protocol startup error\n'],
    ['@RSYNCD: 29\n#early_input=6000\n', '@ERROR: invalid early_input length\n'],
  ] as const) {
    const client = new RawClient(t, port)
    client.say(said)
    t.equal((await client.closed).replace(greeting, ''), answer, JSON.stringify(said.slice(0, 30)))
  }
  await until(async () => (await rsyncsOf(root)).length === 0, 'all rsyncs to be gone')
})

t.test('where rsync does not work, clients are told at once', async (t) => {
  const server = await startServer(t, {
    args: ['--plugins', 'rsync', '--host', '127.0.0.1', '--httpd-port', '0', '--rsync-port', '0'],
    env: { PATH: `${await brokenRsync(t)}:${process.env.PATH}` },
  })
  const port = Number(new URL(await server.url('rsync')).port)
  const client = new RawClient(t, port)
  t.match(await client.closed, /@ERROR: this server cannot start rsync now -- try again later\n$/)
  await until(() => server.log().some(({ msg }) => msg === 'nobody can be served'), 'a word in the log')
})

async function brokenRsync(t: Test): Promise<string> {
  const folder = await temporaryDirectory(t)
  await writeFile(join(folder, 'rsync'), '#!/bin/sh\nexit 1\n', { mode: 0o700 })
  return folder
}

t.test('a thousand who say nothing keep nobody waiting', async (t) => {
  if (!needs(t, 'rsync', 'rsync')) return
  const { rsync, port, pub, root, beside } = await openHouse(t)
  await fill(join(pub, 'films'), { one: 'one' })
  const silent = Array.from({ length: 1000 }, () => new RawClient(t, port))
  await until(() => silent.every(({ heard }) => greeting.test(heard)), 'a thousand greetings')
  t.same(await rsyncsOf(root), [], 'none of them has an rsync of its own')
  const begun = Array.from({ length: 100 }, () => new RawClient(t, port))
  for (const client of begun) client.say('@RSYNCD: 29\n')
  await until(() => begun.every(({ heard }) => greeting.test(heard)), 'a hundred greetings more')
  const ahead = (await rsyncsOf(root)).length
  t.ok(ahead > 0 && ahead <= 32, `nor have all who say no more: ${ahead}`)
  const fetched = await rsync('-a', '::films/', join(beside, 'to'))
  t.equal(fetched.code, 0, fetched.err)
  t.equal((await rsync('-ain', '::films/', join(beside, 'to'))).out, '')
  for (const { socket } of [...silent, ...begun]) socket.destroy()
  await until(async () => (await rsyncsOf(root)).length === 0, 'all rsyncs to be gone')
})
