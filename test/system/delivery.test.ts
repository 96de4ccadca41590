import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { lstatSync, readdirSync, readFileSync } from 'node:fs'
import { mkdir, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { cliHere } from '../support/core/cli-here.js'
import { cli, program, startServer, until, written } from '../support/core/server-process.js'
import { temporaryDirectory } from '../support/temporary-directory.js'

t.setTimeout(300_000)

/** Delivers 3 MB of text to `--to`, an archive to `--into`, or something to a path of its own choice. */
const courier = `
import { spawnSync } from 'node:child_process'
import { definePlugin, path, text } from 'sugar-server'
const pieces = async function* (mode, note) {
  for (let piece = 0; piece < 3; piece += 1) {
    note('piece ' + piece)
    yield Buffer.alloc(1_500_000, String(piece))
  }
  if (mode === 'broken') throw new Error('the source broke')
  if (mode === 'endless') {
    note('and no end')
    await new Promise((resolve) => setTimeout(resolve, 60_000))
  }
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
    ctx.command('bring', async ({ options, deliver, print, note }) => {
      const folder = options.mode === 'packed' ? options.to : options.into
      if (folder !== '') {
        print('begun')
        const { stdout } = spawnSync('tar', ['-c', '--format=posix', '-C', options.from, '.'], { maxBuffer: 1 << 26 })
        await deliver({ to: folder, form: 'directory' }, (async function* () { yield stdout })())
      } else await deliver({ to: options.mode === 'elsewhere' ? '/tmp/elsewhere' : options.to, form: 'file' }, pieces(options.mode, note))
      print('delivered')
    })
  },
})`

const plugin = await written(t, 'courier.mjs', courier)
const server = await startServer(t, {
  args: ['--host', '127.0.0.1', '--httpd-port', '0', '--plugins', plugin],
})

/** The command, in a server that runs and in a house of its own. */
async function couriers() {
  const home = await temporaryDirectory(t)
  const bring = (root: string) => {
    let run = cli
    return (cwd: string, args: readonly string[]) => {
      const brought = run(t, ['courier', 'bring', '--plugins', plugin, '--root', root, ...args], {
        home,
        cwd,
      })
      // What follows is the same program, in this process.
      run = cliHere
      return brought
    }
  }
  return { 'by a running server': bring(server.root), 'without one': bring(join(home, 'root')) }
}

t.test('a delivery is written where it was typed, by the one who typed it', async (t) => {
  for (const [how, bring] of Object.entries(await couriers())) {
    const place = await temporaryDirectory(t)
    const brought = await bring(place, ['--to', './parcel'])
    t.match(brought, { code: 0, out: 'delivered\n', err: 'piece 0\npiece 1\npiece 2\n' }, how)
    const bytes = readFileSync(join(place, 'parcel'))
    t.equal(bytes.length, 4_500_000)
    t.equal(bytes.toString('latin1', 1_499_999, 1_500_001), '01')
    t.same(readdirSync(place), ['parcel'], 'and nothing is left beside it')

    const again = await bring(place, ['--to', './parcel'])
    t.match(again, { code: 77, err: /parcel is there already/ }, 'nothing is overwritten')
    t.notMatch(again.err, 'piece', 'and nothing is made that could not be written')
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
  for (const [how, bring] of Object.entries(await couriers())) {
    const place = await temporaryDirectory(t)
    t.match(await bring(place, ['--into', 'new', '--from', from]), { code: 0 }, how)
    const file = join(place, 'new', 'folder', 'file')
    t.equal(lstatSync(file).mode & 0o7777, 0o755)
    t.equal(lstatSync(file, { bigint: true }).mtimeNs, 1_234_567_890_123_456_789n)
    t.ok(lstatSync(join(place, 'new', 'folder', 'link')).isSymbolicLink())
    t.match(await bring(place, ['--into', 'new', '--from', from]), { code: 77, err: /is there already/ })
    const packed = ['--to', 'new', '--from', from, '--mode', 'packed']
    t.match(await bring(place, packed), { code: 77, err: /new is there already/, out: /^$/ }, 'nor begun')
    await mkdir(join(place, 'empty'))
    t.match(await bring(place, packed.with(1, 'empty')), { code: 0 }, 'an empty one gives way')
    await symlink('nowhere', join(place, 'dangling'))
    t.match(await bring(place, packed.with(1, 'dangling')), { code: 77, err: /dangling is there already/ })
  }
})

t.test('what breaks off on its way is not there at all', async (t) => {
  for (const [how, bring] of Object.entries(await couriers())) {
    const place = await temporaryDirectory(t)
    const broken = await bring(place, ['--to', 'parcel', '--mode', 'broken'])
    t.match(broken, { code: 70, err: /the source broke/ }, how)
    t.same(readdirSync(place), [])
  }
})

t.test('whoever gives up a delivery finds nothing half-written', async (t) => {
  const place = await temporaryDirectory(t)
  const words = ['courier', 'bring', '--plugins', plugin, '--root', server.root]
  const child = spawn(process.execPath, [program, ...words, '--to', 'parcel', '--mode', 'endless'], {
    cwd: place,
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  let said = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    said += text
  })
  await until(() => said.includes('and no end'), 'the delivery to hang')
  t.equal(readdirSync(place).length, 1, 'it is being written')
  child.kill('SIGINT')
  const [code] = await once(child, 'close')
  t.equal(code, 130)
  t.same(readdirSync(place), [])
})

t.test('a server cannot have anything written that nobody asked for', async (t) => {
  for (const [how, bring] of Object.entries(await couriers())) {
    const place = await temporaryDirectory(t)
    const tricked = await bring(place, ['--to', 'parcel', '--mode', 'elsewhere'])
    t.match(tricked, { code: 77, err: /nobody asked for \/tmp\/elsewhere/ }, how)
  }
})
