import { execFileSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { chmod, mkdir, readdir, readFile, readlink, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { definePlugin } from '../../../../core/api.js'
import { type Module, Modules } from '../../../../plugins/rsync/public.js'
import { run, until } from '../../../support/core/server-process.js'
import { lacks, needs } from '../../../support/needs.js'
import { openHouse, RawClient, wants } from '../../../support/rsync/rsync-server.js'

t.setTimeout(300_000)

/** Publishes for a test. */
function publisher() {
  let modules: Modules | undefined
  const plugin = definePlugin({
    name: 'publisher',
    api: 1,
    summary: 'publishes',
    needs: { modules: Modules },
    start(ctx) {
      modules = ctx.needs.modules
    },
  })
  return {
    plugin,
    publish: (module: Module) => modules?.publish(module) ?? Promise.reject(new Error('not yet')),
  }
}

const listed = (out: string): string[] => out.split('\n').map((line) => line.replace(/ \d{4}\/\S+ \S+ /, ' '))

t.test('owners that are in attributes are served as they are, and no link is one', async (t) => {
  if (!needs(t, 'rsync', 'rsync') || !needs(t, 'setfattr', 'attr')) return
  const { plugin, publish } = publisher()
  const house = await openHouse(t, {}, ['rsync', plugin])
  const folder = join(house.beside, 'build')
  await mkdir(folder)
  for (const [name, content, mode, owners] of [
    ['su', 'su', '104755 0,0 0:0', ''],
    ['of-another', 'x', '100000 0,0 1234:4321', ''],
    ['null', '', '20666 1,3 0:0', ''],
    ['pipe', '', '10600 0,0 7:7', ''],
    ['link', '/etc/passwd', '120777 0,0 0:0', ''],
  ] as const) {
    await writeFile(join(folder, name), content)
    await chmod(join(folder, name), 0o600)
    try {
      execFileSync('setfattr', ['-n', 'user.rsync.%stat', '-v', `${mode}${owners}`, join(folder, name)])
    } catch {
      lacks(t, 'needs attributes', 'the disk of temporary files keeps no user attributes')
      return
    }
  }
  await publish({ name: 'build-x', path: folder, comment: 'build x', owners: 'attributes' })
  for (const protocol of ['29', '30', '32']) {
    const { out } = await house.rsync('-rlD', `--protocol=${protocol}`, '::build-x/')
    t.match(listed(out).sort().join('\n'), /^crw-rw-rw-.* null$/m)
    t.match(out, /^prw------- .* pipe$/m)
    t.match(out, /^-rwsr-xr-x .* su$/m)
    t.match(out, /^---------- .* of-another$/m)
    t.match(out, /^lrwxrwxrwx .* link -> \/etc\/passwd$/m)
  }
  // No link is one on the disk: what would follow links changes nothing, and is not refused.
  for (const [at, words] of [['-aL'], ['-ak', '--copy-unsafe-links'], ['-asL']].entries()) {
    for (const protocol of ['29', '30', '32']) {
      const to = join(house.beside, `to-${at}-${protocol}`)
      const fetched = await house.rsync(...words, `--protocol=${protocol}`, '--numeric-ids', '::build-x/', to)
      const how = `${words.join(' ')} in protocol ${protocol}`
      t.match(fetched, { code: 0, err: '' }, how)
      t.equal(await readFile(join(to, 'su'), 'latin1'), 'su', how)
      if (process.getuid?.() === 0) t.match(await stat(join(to, 'of-another')), { uid: 1234, gid: 4321 }, how)
      t.equal(await readlink(join(to, 'link')), '/etc/passwd', how)
    }
  }
  const refused = await house.rsync('-a', '--copy-devices', '::build-x/', join(house.beside, 'devices'))
  t.match(refused, { code: 12, err: /configured to refuse --copy-devices/ }, 'as any daemon of rsync does')
})

t.test('owners that fakeroot knows are served, and nothing of it is left', async (t) => {
  if (!needs(t, 'rsync', 'rsync') || !needs(t, 'fakeroot', 'fakeroot')) return
  const { plugin, publish } = publisher()
  const house = await openHouse(t, {}, ['rsync', plugin])
  const folder = join(house.beside, 'build')
  const state = join(house.beside, 'state')
  const script = 'mkdir "$1" && echo x > "$1/x" && chown 1234:4321 "$1/x" && mknod "$1/null" c 1 3'
  const made = await run(t, ['fakeroot', '-s', state, '--', 'sh', '-c', script, 'sh', folder])
  t.equal(made.code, 0, made.err)
  const fakes = async () => {
    const all = await Promise.all(
      (await readdir('/proc')).map((name) => readFile(`/proc/${name}/cmdline`, 'latin1').catch(() => '')),
    )
    return all.filter((words) => words.includes(state) || /^\S*faked/.test(words)).length
  }
  const before = await fakes()
  await publish({ name: 'build-y', path: folder, comment: 'build y', owners: { fakeroot: state } })
  const { out, err } = await house.rsync('-rlD', '::build-y/')
  t.match(out, /^crw-.* null$/m, err)
  const to = join(house.beside, 'to')
  const fetched = await house.rsync('-a', '--fake-super', '--numeric-ids', '::build-y/', to)
  t.equal(fetched.code, 0, fetched.err)
  const attribute = execFileSync('getfattr', ['-n', 'user.rsync.%stat', '--only-values', join(to, 'x')])
  t.match(attribute.toString(), '1234:4321')
  await until(async () => (await fakes()) <= before, 'fakeroot to be gone')
  await writeFile(join(folder, 'film'), randomBytes(30 << 20))
  for (const leave of ['end', 'destroy'] as const) {
    const client = new RawClient(t, house.port)
    client.say('@RSYNCD: 29\nbuild-y\n--server\n--sender\n-r\n.\nbuild-y/film\n\n')
    client.socket.pause()
    client.say(wants(0))
    await until(
      async () => ((await house.fetching())[0]?.bytes ?? 0) > 100_000,
      'a transfer that goes nowhere',
    )
    client.socket[leave]()
    await until(async () => (await fakes()) <= before, `fakeroot to be gone after ${leave}`, 10_000)
  }
})
