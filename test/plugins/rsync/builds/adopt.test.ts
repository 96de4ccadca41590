import { existsSync } from 'node:fs'
import { mkdir, readdir, rename, rm, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { cliHere } from '../../../support/core/cli-here.js'
import { startServer, until, written } from '../../../support/core/server-process.js'
import { needs } from '../../../support/needs.js'
import { rounds } from '../../../support/rounds.js'
import { adopter } from '../../../support/rsync/build-adopter.js'
import { contents, succeed } from '../../../support/rsync/packed-builds.js'
import { reopen } from '../../../support/rsync/reopen-server.js'
import { openHouse } from '../../../support/rsync/rsync-server.js'
import { shadow } from '../../../support/shadow-program.js'
import { temporaryDirectory } from '../../../support/temporary-directory.js'

t.setTimeout(300_000)

const has = (t: Test): boolean => needs(t, 'rsync', 'rsync') && needs(t, 'setfattr', 'attr')

/** Fills a directory as `rsync --fake-super` does. */
async function send(folder: string): Promise<string> {
  await mkdir(join(folder, 'root', 'bin'), { recursive: true, mode: 0o700 })
  await writeFile(join(folder, 'contents'), contents, { mode: 0o600 })
  await writeFile(join(folder, 'root', 'bin', 'su'), 'x', { mode: 0o600 })
  succeed('setfattr', ['-n', 'user.rsync.%stat', '-v', '104755 0,0 12:34', join(folder, 'root/bin/su')])
  return folder
}

const entriesIn = (path: string): number => succeed('find', [path]).split('\n').length

/** What there is below a directory, with its attributes. */
const look = (folder: string): string =>
  succeed('sh', ['-c', 'find . -printf "%y %m %i %P\\n" | sort; getfattr -R -d -m - . | sort'], folder)

t.test('what another server sent is published as it is, if it can do no harm', async (t) => {
  if (!has(t)) return
  const house = await openHouse(t, {}, ['rsync', adopter.plugin])
  const { builds } = adopter
  const sent = async () => send(join(await builds.scratch(), 'build'))
  const build = await builds.adopt('885', await sent(), 'upgrade')
  t.match(build, { name: '885', entries: 2, bytes: 8192, from: 'upgrade' })
  t.equal(build.digest, succeed('sha256sum', [join(build.path, 'contents')]).slice(0, 64))
  t.match((await house.rsync('-r', '--list-only', '::build-885/root/')).out, /^-rwsr-xr-x .* bin\/su$/m)

  const spoilers: [string, (folder: string) => unknown, RegExp][] = [
    [
      'a link',
      (folder) => succeed('ln', ['-s', '/etc', join(folder, 'root/etc')]),
      /"etc" is neither a file nor/,
    ],
    ['a fifo', (folder) => succeed('mkfifo', [join(folder, 'root/bin/p')]), /"bin\/p" is neither a file nor/],
    ['setuid', (folder) => succeed('chmod', ['4755', join(folder, 'root/bin/su')]), /"bin\/su" is setuid/],
    ['more', (folder) => writeFile(join(folder, 'more'), ''), /does not hold "contents" and "root" alone/],
    ['no manifest', (folder) => rename(join(folder, 'contents'), join(folder, 'toc')), /does not hold/],
    [
      'a link for a tree',
      (folder) => succeed('sh', ['-c', 'mv root /tmp/x-$$; ln -s /etc root; rm -r /tmp/x-$$'], folder),
      /"root" is not a directory/,
    ],
  ]
  const making = join(house.root, 'rsync', 'making')
  for (const [title, spoil, reason] of spoilers) {
    const folder = await sent()
    await spoil(folder)
    const before = [await readdir(making), look(folder)]
    await t.rejects(
      builds.adopt('886', folder, 'upgrade'),
      { code: 'REQUEST_INVALID', message: reason },
      title,
    )
    t.same([await readdir(making), look(folder)], before, `${title}: nothing is left, and nothing is taken`)
  }
  const elsewhere = join(house.beside, 'link')
  await symlink(await sent(), elsewhere)
  await t.rejects(
    builds.adopt('886', elsewhere, 'upgrade'),
    { message: /it is not a directory/ },
    'a link to all of it',
  )
  await t.rejects(builds.adopt('../x', await sent(), 'upgrade'), { code: 'REQUEST_INVALID' })
  t.equal(builds.get('886'), undefined)
  t.same(await readdir(join(house.root, 'rsync', 'pub', 'builds')), ['885'])
})

t.test('what a real rsync leaves of odd modes, devices and links is published as it was', async (t) => {
  if (!has(t)) return
  const house = await openHouse(t, {}, ['rsync', adopter.plugin])
  const { builds } = adopter
  const tree = join(house.beside, 'tree')
  await mkdir(tree)
  const script = `
    mkdir -p etc shut setgid sticky; echo x > etc/shadow; chmod 000 etc/shadow shut
    echo x > su; chmod 7777 su; ln su etc/su; ln -s /etc/passwd link; mkfifo pipe; echo 77 > etc/none
    chmod 2775 setgid; chmod 1777 sticky; chmod 3777 .`
  succeed('sh', ['-c', script], tree)
  if (process.geteuid?.() === 0)
    succeed('sh', ['-c', 'mknod disk b 259 1048575; chown 12:34 etc/none; chown -h 5:6 link'], tree)
  const to = await builds.arrivals.folder('885')
  await writeFile(join(to, 'contents'), contents)
  const pull = ['-aH', '--numeric-ids', '--fake-super', `${tree}/`, `${join(to, 'root')}/`]
  succeed('rsync', pull)
  await builds.adopt('885', to, 'upgrade')
  const compare = ['-aHn', '--numeric-ids', '--itemize-changes', '--delete', '::build-885/root/', `${tree}/`]
  t.same(await house.rsync(...compare), { code: 0, signal: null, out: '', err: '' })
})

t.test(
  'an adoption that is given up, or that a stop ends, leaves what has come for the next one',
  async (t) => {
    if (!has(t)) return
    const plugins = ['rsync', adopter.plugin]
    let house = await openHouse(t, {}, plugins)
    const begun = join(house.beside, 'begun')
    const release = await shadow(t, 'sync', `echo > ${begun}; exec sleep 1000`)
    const arrival = await send(await adopter.builds.arrivals.folder('885'))
    const before = entriesIn(arrival)
    const stop = new AbortController()
    const ends: readonly [() => unknown, RegExp][] = [
      [() => stop.abort(new Error('nobody wants it any more')), /^nobody wants it any more$/],
      [() => house.dispose(), /^the server is stopping$/],
    ]
    for (const [end, message] of ends) {
      const adopting = adopter.builds.adopt(
        '885',
        arrival,
        'upgrade',
        stop.signal.aborted ? undefined : stop.signal,
      )
      const ended = t.rejects(adopting, { message })
      await until(() => existsSync(begun), 'it to be flushed')
      await end()
      await ended
      t.equal(entriesIn(arrival), before, 'all of it is where it was')
      await rm(begun)
    }
    release()
    house = await reopen(t, house, {}, plugins)
    t.match(await adopter.builds.arrivals.list(), [{ name: '885' }])
    await adopter.builds.adopt('885', await adopter.builds.arrivals.folder('885'), 'upgrade')
    t.match((await house.rsync('-r', '--list-only', '::build-885/root/')).out, /^-rwsr-xr-x .* bin\/su$/m)
  },
)

/**
 * Adopts what has come, or drops it, over and over, in a server that can be killed; or that kills itself in place of its
 * nth rename from then on.
 */
const bringer = `
import promises from 'node:fs/promises'
import { syncBuiltinESMExports } from 'node:module'
import { definePlugin, integer, token } from 'sugar-server'
const { rename } = promises
let left = 0
promises.rename = async (from, to) => {
  left -= 1
  if (left === 0) process.kill(process.pid, 'SIGKILL')
  await rename(from, to)
}
syncBuiltinESMExports()
const args = { name: { help: 'it' } }
const options = { renames: integer({ help: 'n; 0: it goes on', default: 0, min: 0, max: 99 }) }
export default definePlugin({
  name: 'bringer', api: 1, summary: 'brings builds', needs: { builds: token('rsync/builds@1') },
  commands: { take: { summary: 'adopt', args, options }, drop: { summary: 'drop', args } },
  start(ctx) {
    const { builds } = ctx.needs
    ctx.command('take', async ({ args: { name }, options: { renames } }) => {
      left = renames
      await builds.adopt(name, await builds.arrivals.folder(name), 'bringer')
      left = 0
    })
    ctx.command('drop', ({ args: { name } }) => builds.arrivals.drop(name))
  },
})`

/** A server with that plugin, on one root. */
async function bringing(t: Test) {
  const plugins = `rsync,${await written(t, 'bringer.mjs', bringer)}`
  const root = join(await temporaryDirectory(t), 'root')
  const args = ['--host', '127.0.0.1', '--httpd-port', '0', '--rsync-port', '0', '--plugins', plugins]
  const folder = join(root, 'rsync')
  return {
    root,
    ...{ arriving: join(folder, 'arriving'), making: join(folder, 'making') },
    published: join(folder, 'pub', 'builds'),
    start: () => startServer(t, { root, args }),
    call: (...words: string[]) => cliHere(t, ['bringer', ...words, '--root', root, '--plugins', plugins]),
  }
}

const names = (path: string) => readdir(path).catch(() => [])

t.test('kill -9 before any rename of an adoption: what has come is gone on with or published', async (t) => {
  if (!has(t)) return
  const { root, arriving, making, published, start, call } = await bringing(t)
  const places = new Set<string>()
  let server = await start()
  for (let renames = 1, isOver = false; !isOver; renames += 1) {
    const before = entriesIn(await send(join(arriving, '885')))
    const taken = await call('take', '885', '--renames', `${renames}`)
    isOver = taken.code === 0
    if (!isOver) {
      await until(() => server.child.signalCode === 'SIGKILL', `it to kill itself, and not ${taken.err}`)
      server = await start()
      await until(async () => (await names(making)).length === 0, 'what was left to go')
    }
    const there = (await names(arriving)).length
    const place = join(there > 0 ? arriving : published, '885')
    t.equal(entriesIn(place), before, `${renames}: it is whole in ${place}`)
    t.same((await names(published)).length, 1 - there, 'and nowhere else')
    places.add(there > 0 ? 'arriving' : isOver ? 'at once' : 'published')
    if (there > 0) t.match(await call('take', '885'), { code: 0 }, 'it is gone on with')
    const port = new URL(await server.url('rsync')).port
    t.match(succeed('rsync', ['-r', `rsync://127.0.0.1:${port}/build-885/root/`]), /bin\/su$/m)
    t.match(await cliHere(t, ['rsync', 'withdraw', '885', '--root', root]), { code: 0 })
  }
  t.same([...places], ['arriving', 'published', 'at once'])
  t.equal((await server.stop()).code, 0)
})

t.test('kill -9 while a build is adopted or dropped: all of it is in one place', async (t) => {
  if (!has(t)) return
  const { root, arriving, making, published, start, call } = await bringing(t)
  const came = new Set<string>()
  const folders = rounds(40, 15)
  let server = await start()
  for (const [round, [verb, moment]] of (
    [
      ['drop', async () => (await names(making)).some((name) => name.startsWith('dropped-'))],
      ['take', async () => (await names(making)).some((name) => name.startsWith('draft-'))],
      ['take', async () => (await names(arriving)).length === 0],
      ['take', async () => (await names(published)).length > 0],
      ['take', () => sleep(300, true)],
    ] as const
  ).entries()) {
    const arrival = await send(join(arriving, '885'))
    const script = `for d in $(seq ${folders}); do mkdir d$d; for f in $(seq 100); do echo $d > d$d/f$f; done; done`
    succeed('sh', ['-c', script], join(arrival, 'root'))
    let hasEnded = false
    const running = call(verb, '885').finally(() => {
      hasEnded = true
    })
    while (!hasEnded && !(await moment())) await sleep(1)
    await server.kill9()
    await running
    server = await start()
    await until(async () => (await names(making)).length === 0, `what was left to go in round ${round}`)
    const [left, there] = [await names(arriving), await names(published)]
    came.add(`${verb} ${left.length} ${there.length}`)
    if (verb === 'drop') t.same([left, there], [[], []])
    else t.equal(left.length + there.length, 1, 'in one place')
    for (const place of [
      ...left.map((name) => join(arriving, name)),
      ...there.map((name) => join(published, name)),
    ]) {
      const whole = succeed('find', [join(place, 'root'), '-type', 'f'])
        .trim()
        .split('\n').length
      t.equal(whole, 100 * folders + 1, `${round}: whole`)
    }
    if (there.length > 0) {
      const port = new URL(await server.url('rsync')).port
      t.match(succeed('rsync', [`rsync://127.0.0.1:${port}/`]), /^build-885/m)
      t.match(await cliHere(t, ['rsync', 'withdraw', '885', '--root', root]), { code: 0 })
      await until(async () => (await names(making)).length === 0, 'it to go')
    }
    for (const name of left) await rm(join(arriving, name), { recursive: true })
  }
  t.ok(came.has('take 1 0') && came.has('take 0 1'), [...came].join(', '))
  t.equal((await server.stop()).code, 0)
})
