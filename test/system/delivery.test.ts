import { execFileSync } from 'node:child_process'
import { lstatSync, readdirSync, readFileSync } from 'node:fs'
import { mkdir, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { cli, freePorts, startServer, temporaryDirectory, written } from './server.js'

/** Delivers 3 MB of text to `--to`, an archive to `--into`, or something to a path of its own choice. */
const courier = `
import { spawnSync } from 'node:child_process'
import { definePlugin, path, text } from 'sugar-server'
const pieces = async function* (broken) {
  for (let piece = 0; piece < 3; piece += 1) yield Buffer.alloc(1_500_000, String(piece))
  if (broken) throw new Error('the source broke')
}
export default definePlugin({
  name: 'courier', api: 1, summary: 'delivers',
  commands: { bring: { summary: 'bring', options: {
    to: path({ help: 'file', default: '' }),
    into: path({ help: 'directory', default: '' }),
    from: text({ help: 'what to pack', default: '' }),
    mode: text({ help: 'how', default: '' }),
  } } },
  start(ctx) {
    ctx.command('bring', async ({ options, deliver, print }) => {
      if (options.into !== '') {
        const { stdout } = spawnSync('tar', ['-c', '--format=posix', '-C', options.from, '.'], { maxBuffer: 1 << 26 })
        await deliver({ to: options.into, form: 'directory' }, (async function* () { yield stdout })())
      } else await deliver({ to: options.mode === 'elsewhere' ? '/tmp/elsewhere' : options.to, form: 'file' }, pieces(options.mode === 'broken'))
      print('delivered')
    })
  },
})`

/** The command, in a server that runs and in a house of its own. */
async function couriers(t: Test) {
  const plugin = await written(t, 'courier.mjs', courier)
  const server = await startServer(t, { args: [...freePorts, '--plugins', plugin] })
  const home = await temporaryDirectory(t)
  const bring = (root: string) => (cwd: string, args: readonly string[]) =>
    cli(t, ['courier', 'bring', '--plugins', plugin, '--root', root, ...args], { home, cwd })
  return { 'by a running server': bring(server.root), 'without one': bring(join(home, 'root')) }
}

t.test('a delivery is written where it was typed, by the one who typed it', async (t) => {
  for (const [how, bring] of Object.entries(await couriers(t))) {
    const place = await temporaryDirectory(t)
    t.match(await bring(place, ['--to', './parcel']), { code: 0, out: 'delivered\n' }, how)
    const bytes = readFileSync(join(place, 'parcel'))
    t.equal(bytes.length, 4_500_000)
    t.equal(bytes.toString('latin1', 1_499_999, 1_500_001), '01')
    t.same(readdirSync(place), ['parcel'], 'and nothing is left beside it')

    const again = await bring(place, ['--to', './parcel'])
    t.match(again, { code: 77, err: /parcel is there already/ }, 'nothing is overwritten')
    t.match(await bring(place, ['--to', './no/such/folder']), { code: 69, err: /is no directory/ })
    t.same(readdirSync(place), ['parcel'])
  }
})

t.test('a directory comes with times and modes, without programs that run as somebody else', async (t) => {
  const from = await temporaryDirectory(t)
  await mkdir(join(from, 'folder'))
  await writeFile(join(from, 'folder', 'file'), 'text')
  await symlink('file', join(from, 'folder', 'link'))
  execFileSync('chmod', ['4755', join(from, 'folder', 'file')])
  execFileSync('touch', ['-d', '@1234567890.123456789', join(from, 'folder', 'file')])
  for (const [how, bring] of Object.entries(await couriers(t))) {
    const place = await temporaryDirectory(t)
    t.match(await bring(place, ['--into', 'new', '--from', from]), { code: 0 }, how)
    const file = join(place, 'new', 'folder', 'file')
    t.equal(lstatSync(file).mode & 0o7777, 0o755)
    t.equal(lstatSync(file, { bigint: true }).mtimeNs, 1_234_567_890_123_456_789n)
    t.ok(lstatSync(join(place, 'new', 'folder', 'link')).isSymbolicLink())
    t.match(await bring(place, ['--into', 'new', '--from', from]), { code: 77, err: /is there already/ })
  }
})

t.test('what breaks off on its way is not there at all', async (t) => {
  for (const [how, bring] of Object.entries(await couriers(t))) {
    const place = await temporaryDirectory(t)
    const broken = await bring(place, ['--to', 'parcel', '--mode', 'broken'])
    t.match(broken, { code: 70, err: /the source broke/ }, how)
    t.same(readdirSync(place), [])
  }
})

t.test('a server cannot have anything written that nobody asked for', async (t) => {
  for (const [how, bring] of Object.entries(await couriers(t))) {
    const place = await temporaryDirectory(t)
    const tricked = await bring(place, ['--to', 'parcel', '--mode', 'elsewhere'])
    t.match(tricked, { code: 77, err: /nobody asked for \/tmp\/elsewhere/ }, how)
  }
})
