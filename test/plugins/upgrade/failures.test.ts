import { mkdir, readdir, rm, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { RequestError, SystemError } from '../../../core/api.js'
import { Failures } from '../../../plugins/upgrade/fetch/failures.js'
import { temporaryDirectory } from '../../support/temporary-directory.js'
import { contentsOf, facts, treeOf } from '../../support/upgrade/fake-rsync.js'
import { at, begun, school, tree } from '../../support/upgrade/interrupted-fetch.js'
import { md5, packed, upstream } from '../../support/upgrade/upstream.js'

t.test('a failure is told with its reason, remembered, and forgotten by an operator', async (t) => {
  const files = packed('885', tree)
  files[`${at}.md5`] = { bytes: Buffer.from(`${md5('other')}  x\n`) }
  const { house, rsync, from } = await school(t, files)
  const words = {
    message: /^build-885 could not be fetched: .* is not what its md5 sum says: it was thrown away$/,
    hint: 'tell whoever looks after the server',
    code: 'DAMAGED',
  }
  await t.rejects(rsync.ask('build-885'), words)
  const before = from.requests.length
  await t.rejects(rsync.ask('build-885'), words)
  t.equal(from.requests.length, before)
  t.match(await facts(house), { failures: [{ name: '885', why: /could not be fetched/ }] })
  t.match((await house.command(['upgrade', 'list'])).out, /885 .*could not be fetched/)
  Object.entries(packed('885', tree)).map(([path, file]) => from.files.set(path, file))
  t.match(await house.command(['upgrade', 'fetch'], { args: { name: '885' } }), {
    ended: { exit: 0 },
    out: /^build-885 is here: 1 files, 300\.0 kB\n$/,
  })
  t.match(await house.command(['upgrade', 'fetch'], { args: { name: '885' } }), { out: /is here already/ })
})

t.test('a failure is remembered for ten minutes, and a thousand of them', async (t) => {
  const { rsync, from } = await school(t)
  await t.rejects(rsync.ask('build-602'))
  const { now } = Date
  t.teardown(() => {
    Date.now = now
  })
  let later = 0
  Date.now = () => now() + later
  later = 9 * 60_000
  await t.rejects(rsync.ask('build-602'), { message: /try again in 1 minute$/ })
  t.equal(from.requests.length, 6)
  later = 11 * 60_000
  await t.rejects(rsync.ask('build-602'))
  t.equal(from.requests.length, 12)
  const failures = new Failures()
  for (let count = 0; count < 3000; count += 1)
    failures.note(`${count}`, { why: 'is not here', code: 'UNAVAILABLE', isPart: false })
  t.equal(failures.all().length, 1000)
  t.ok(failures.get('2999') !== undefined && failures.get('1999') === undefined)
  later = -60 * 60_000
  t.equal(failures.get('2999'), undefined, 'nor longer by a clock that was set back')
})

t.test('who asks for a build of which a part is here may ask again after a minute', async (t) => {
  const { rsync, from, left } = await begun(t)
  const { now } = Date
  t.teardown(() => {
    Date.now = now
  })
  await from.close()
  const words = /^build-885 could not be fetched: .*; try again in 1 minute$/
  await t.rejects(rsync.ask('build-885'), { code: 'UNAVAILABLE', message: words })
  await t.rejects(rsync.ask('build-885'), { message: words })
  await t.rejects(rsync.ask('build-602'), { message: /; try again in 10 minutes$/ }, 'others are as before')
  t.same(await left(), ['885', '885 of a school'], 'and what is here stays')
  Date.now = () => now() + 61_000
  const before = from.requests.length
  await t.rejects(rsync.ask('build-885'), { message: words })
  t.equal(from.requests.length, before)
})

t.test('what a source refuses costs nothing that has come', async (t) => {
  const { rsync, from, left } = await begun(t)
  from.files.set(at, { bytes: tree, get: (_, response) => response.writeHead(403).end() })
  await t.rejects(rsync.ask('build-885'), {
    code: 'REFUSED',
    message: /answers 403 Forbidden$/,
    hint: 'tell whoever looks after the server',
  })
  t.same(await left(), ['885', '885 of a school'])
})

t.test('a failure is no news any more once the build has come by another way', async (t) => {
  const { house, rsync } = await school(t, {})
  await t.rejects(rsync.ask('build-885'), { message: /at none of the sources/ })
  await t.rejects(rsync.ask('build-602'), { message: /at none of the sources/ })
  await rsync.put('885', { from: 'rsync' })
  const { out, err } = await house.command(['upgrade', 'list'])
  t.match(out, /^885 +here .*rsync-packed$/m)
  t.notMatch(`${out}${err}`, /885 .*none of the sources/)
  t.match(await facts(house), { failures: [{ name: '602' }] })
})

t.test('where the limit alone is short, what has come stays, and is gone on with', async (t) => {
  const { rsync, from, left, restart } = await begun(t, { 'upgrade-limit': '1' })
  await t.rejects(rsync.ask('build-885'), {
    message: /too little of what the server may use for builds; try again in 10 minutes$/,
  })
  t.same(await left(), ['885', '885 of a school'])
  await restart()
  t.equal(await rsync.ask('build-885'), true)
  t.equal(from.heard.at(-1)?.headers.range, 'bytes=1000-')
})

t.test('where the disk has less free than must stay so, what has come makes room', async (t) => {
  const { rsync, left } = await begun(t, { 'upgrade-keep-free': '999999999' })
  await t.rejects(rsync.ask('build-885'), { message: /too little on the disk of the server/ })
  t.same(await left(), [])
})

t.test('when a build has come nothing is left of it, whichever source it came from', async (t) => {
  const { rsync, from, left } = await begun(t)
  t.equal(await rsync.ask('build-885'), true)
  t.equal(from.heard.at(-1)?.headers.range, 'bytes=1000-')
  t.same(await left(), [])
})

t.test('what somebody must mend is not said to pass, unless another source may yet have it', async (t) => {
  const files = packed('885', tree)
  delete files[`${at}.md5`]
  const { rsync } = await school(t, files)
  const told = { message: /has no checksum beside it/, hint: /^tell whoever/ }
  await t.rejects(rsync.ask('build-885'), told)
  await t.rejects(rsync.ask('build-885'), told)
  const from = await upstream(t, files)
  const both = await school(t, {}, { 'upgrade-sources': `${from.url}/{name}, /nonexistent` })
  const words = /has no checksum beside it.*\/nonexistent cannot be read.*; try again in 10 minutes$/
  await t.rejects(both.rsync.ask('build-885'), { code: 'UNAVAILABLE', message: words })
})

t.test('a reason that is long leaves room for what to do', async (t) => {
  const long = Array.from({ length: 9 }, (_, index) => `/nonexistent/${'x'.repeat(40)}/${index}`)
  const { rsync } = await school(t, {}, { 'upgrade-sources': long.join(',') })
  const error: Error = await rsync.ask(`build-${'8'.repeat(64)}`).then(
    () => new Error('there'),
    (thrown) => thrown,
  )
  t.match(error.message, /^build-8+ could not be fetched: .* \.\.\.; try again in 10 minutes$/)
  t.ok(error.message.length <= 400, 'what a client is shown')
})

t.test('a reason that is long is told whole, and beside the table', async (t) => {
  const long = Array.from({ length: 9 }, (_, index) => `/nonexistent/${'x'.repeat(40)}/${index}`)
  const { house, rsync } = await school(t, {}, { 'upgrade-sources': long.join(',') })
  await rsync.put('602')
  await t.rejects(rsync.ask('build-885'))
  const whole = `could not be fetched: ${long.map((one) => `${one} cannot be read (ENOENT)`).join('; ')}`
  const { out, err } = await house.command(['upgrade', 'list'])
  const table = out.split('\n')
  t.match(table, [/^NAME/, /^602 +here +1\.0 MB/, /^885 +could not be fetched */])
  t.ok(Math.max(...table.map(({ length }) => length)) <= 80, 'a line fits a terminal')
  t.equal(err, `build-885 ${whole}\n`)
  const { out: json } = await house.command(['upgrade', 'list'], { json: true })
  t.match(JSON.parse(json), [{ name: '602' }, { name: '885', state: whole }])
})

t.test('a build that cannot be unpacked is told with the reason, and not kept', async (t) => {
  const { house, rsync } = await school(t)
  const kept = () => readdir(join(house.root, 'upgrade', 'downloads'))
  const failing = async (error: Error, message: RegExp) => {
    rsync.installing = () => {
      throw error
    }
    await t.rejects(rsync.ask('build-885'), { name: 'RequestError', message })
    await t.rejects(rsync.ask('build-885'), { message })
    t.same(rsync.installed, [])
    return await kept()
  }
  const hostile = new RequestError('REQUEST_INVALID', 'the entry ../x leads out of the tree')
  t.same(await failing(hostile, /could not be fetched: the entry \.\.\/x leads out/), [])
  const again = async (error: Error, message: RegExp, left: string[]) => {
    const other = await school(t)
    other.rsync.installing = () => {
      throw error
    }
    await t.rejects(other.rsync.ask('build-885'), { name: 'RequestError', message })
    t.same(await readdir(join(other.house.root, 'upgrade', 'downloads')), left)
  }
  await again(
    new SystemError('NO_SPACE', 'the disk /x is full', { hint: 'make room' }),
    /disk of the server is full; try again in 10 minutes/,
    ['885'],
  )
  const ours = /could not be fetched: the server has a fault, which its log tells$/
  await again(new TypeError('a fault of ours in /secret/path'), ours, [])
  await again(new SystemError('PROGRAM_MISSING', 'xz is not installed', { hint: 'install it' }), ours, [
    '885',
  ])
})

t.test('what one source has may be too large or not be publishable here, and another give it', async (t) => {
  const huge = { 'Content-Length': String(1e14) }
  const lying = await upstream(
    t,
    packed('885', tree, { head: (_, response) => response.writeHead(200, huge).end() }),
  )
  const from = await upstream(t, packed('885', tree))
  const sources = { 'upgrade-sources': `${lying.url}/{name}, ${from.url}/{name}` }
  const first = await school(t, {}, sources)
  t.equal(await first.rsync.ask('build-885'), true)
  t.equal(from.count('GET', at), 1)
  await lying.close()
  const both = await school(t, packed('885', tree), {})
  const second = await school(t, {}, { 'upgrade-sources': `${both.from.url}/{name}, ${from.url}/{name}` })
  let times = 0
  second.rsync.installing = () => {
    times += 1
    if (times === 1) throw new SystemError('PROGRAM_MISSING', 'xz is not installed', { hint: 'install it' })
  }
  t.equal(await second.rsync.ask('build-885'), true)
  t.equal(times, 2)
})

t.test('a directory is a source, and is read as it is', async (t) => {
  const directory = await temporaryDirectory(t)
  const { rsync, house } = await school(t, {}, { 'upgrade-sources': directory })
  await writeFile(join(directory, '885.tree.tar.lzma'), tree)
  const fails = async (message: RegExp) => {
    const { ended } = await house.command(['upgrade', 'fetch'], { args: { name: '885' } })
    t.match(ended, { message })
  }
  await fails(/no checksum beside it/)
  await writeFile(join(directory, '885.tree.tar.lzma.md5'), `${md5('x')}  885.tree.tar.lzma\n`)
  await fails(/no manifest.*885\.toc nor .*885\.contents/)
  await mkdir(join(directory, '885.toc'))
  await fails(/no manifest/)
  await writeFile(join(directory, '885.contents'), 'contents')
  await fails(/not what its md5 sum says/)
  await rm(join(directory, '885.tree.tar.lzma.md5'))
  await symlink('/proc/self/mem', join(directory, '885.tree.tar.lzma.md5'))
  await fails(/885\.tree\.tar\.lzma\.md5 cannot be read \(EIO\)/)
  await rm(join(directory, '885.tree.tar.lzma.md5'))
  await writeFile(join(directory, '885.tree.tar.lzma.md5'), 'no sum')
  await fails(/holds no md5 sum/)
  await writeFile(join(directory, '885.tree.tar.lzma.md5'), `${md5(tree)}  885.tree.tar.lzma\n`)
  await house.command(['upgrade', 'fetch'], { args: { name: '885' } })
  const build = rsync.builds.get('885')
  t.ok(build !== undefined && (await treeOf(build)).equals(tree))
  t.equal(build && (await contentsOf(build)), 'contents')
  await t.rejects(rsync.ask('build-602'), { message: /at none of the sources/ })
})

t.test('a directory that is not there is a source that fails', async (t) => {
  const { rsync, house } = await school(t, {}, { 'upgrade-sources': '/nonexistent/stick, /etc/passwd' })
  await t.rejects(rsync.ask('build-885'), {
    message: /\/nonexistent\/stick cannot be read \(ENOENT\); \/etc\/passwd is no directory/,
  })
  t.same((await house.status()).health, [], 'a school without Internet is not ill')
  const { contacts } = (await facts(house)) as { contacts: { at: string; fault: string }[] }
  t.match(contacts, [
    { at: /^2.*Z$/, fault: '/nonexistent/stick cannot be read (ENOENT)' },
    { fault: '/etc/passwd is no directory' },
  ])
})
