import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import t from 'tap'
import { definePlugin } from '../../../core/api.js'
import { boot } from '../../../core/testing.js'
import id from '../../../plugins/id/plugin.js'
import { Registration } from '../../../plugins/id/public.js'
import { lacks, needs } from '../../support/needs.js'
import { makeKeyFile } from '../../support/openssh.js'

t.setTimeout(300_000)

const run = promisify(execFile)
const driver = fileURLToPath(new URL('../../../../test/support/id/register_laptop.py', import.meta.url))
// Debian's own: python3-gi is built for it and for no other.
const python = '/usr/bin/python3'
const packages = ['python3-jarabe', 'python3-sugar3', 'sugar-session', 'python3-six']

/** Debian's Sugar, unpacked and not installed. */
async function unpackSugar(folder: string): Promise<void> {
  await run('apt-get', ['download', ...packages], { cwd: folder })
  const files = (await readdir(folder)).filter((name) => name.endsWith('.deb'))
  for (const file of files) await run('dpkg', ['-x', join(folder, file), join(folder, 'debian')])
  await run('glib-compile-schemas', [join(folder, 'debian/usr/share/glib-2.0/schemas')])
}

/** A laptop that runs Debian's Sugar. */
class SugarLaptop {
  readonly #sugar: string
  readonly #home: string

  constructor(sugar: string, home: string) {
    this.#sugar = sugar
    this.#home = home
  }

  async make(nickname: string): Promise<void> {
    await mkdir(join(this.#home, 'sugar/default'), { recursive: true })
    await mkdir(join(this.#home, 'config/glib-2.0/settings'), { recursive: true })
    await writeFile(this.#settings, `[org/sugarlabs/user]\nnick='${nickname}'\n`)
    makeKeyFile('dsa', join(this.#home, 'sugar/default/owner.key'))
  }

  get #settings(): string {
    return join(this.#home, 'config/glib-2.0/settings/keyfile')
  }

  settings(): Promise<string> {
    return readFile(this.#settings, 'utf8')
  }

  async forgetServer(): Promise<void> {
    const kept = await this.settings()
    await writeFile(this.#settings, kept.replace(/^jabber-server=.*\n/m, ''))
  }

  /** The public key as Sugar sends it. */
  async pubkey(): Promise<string> {
    return (await readFile(join(this.#home, 'sugar/default/owner.key.pub'), 'utf8'))
      .trim()
      .replace('ssh-dss ', '')
  }

  async register(url: string): Promise<{ registered?: boolean; shown?: string }> {
    const env = {
      PATH: '/usr/bin:/bin',
      HOME: this.#home,
      SUGAR_HOME: join(this.#home, 'sugar'),
      XDG_CONFIG_HOME: join(this.#home, 'config'),
      GSETTINGS_BACKEND: 'keyfile',
      GSETTINGS_SCHEMA_DIR: join(this.#sugar, 'debian/usr/share/glib-2.0/schemas'),
      PYTHONPATH: join(this.#sugar, 'debian/usr/lib/python3/dist-packages'),
      LC_ALL: 'C.UTF-8',
    }
    const { stdout } = await run(python, [driver, url], { env })
    return JSON.parse(stdout.trim().split('\n').at(-1) ?? '{}') as { registered?: boolean; shown?: string }
  }
}

/** @returns why Sugar cannot be run here, or undefined when it can */
async function cannotRunSugar(folder: string): Promise<string | undefined> {
  if (!existsSync(python)) return 'Debian has no Python here (apt-get install python3)'
  try {
    await run(python, ['-c', 'from gi.repository import Gio'])
  } catch {
    return 'Python cannot reach GLib (apt-get install python3-gi)'
  }
  try {
    await unpackSugar(folder)
    return undefined
  } catch (error) {
    return `Debian's Sugar cannot be had: ${(error as Error).message.split('\n')[0]}`
  }
}

t.test("Debian's own Sugar", async (t) => {
  const programs = {
    'apt-get': 'apt',
    'glib-compile-schemas': 'libglib2.0-bin',
    'ssh-keygen': 'openssh-client',
  }
  if (!Object.entries(programs).every(([program, debian]) => needs(t, program, debian))) return
  const folder = await mkdtemp(join(tmpdir(), 'sugar-jarabe-'))
  t.teardown(() => rm(folder, { recursive: true, force: true }))
  const missing = await cannotRunSugar(folder)
  if (missing !== undefined) {
    lacks(t, "needs Debian's Sugar", missing)
    return
  }

  t.test('registers, and keeps what it got', async (t) => {
    const house = await boot({ plugins: [id], settings: { hostname: '127.0.0.1' } })
    t.teardown(() => house.dispose())
    const url = `${await house.url('id')}/`
    const laptop = new SugarLaptop(folder, join(folder, 'first'))
    await laptop.make('Ana <3 ñandú')

    t.same(await laptop.register(url), { registered: true }, 'Sugar says that it is registered')
    const settings = await laptop.settings()
    t.match(settings, /jabber-server='127\.0\.0\.1'/, 'it kept the address at which it found the server')
    t.match(settings, /backup-url=''/, 'and its backup-url')

    // With an address it asks port 8080 there, which is not the port of this test.
    await laptop.forgetServer()
    t.same(await laptop.register(url), { registered: true }, 'it may register again')
    const { out } = await house.command(['id', 'export'])
    const users = JSON.parse(out) as { nickname: string; pubkey: string; serials: string[] }[]
    t.equal(users.length, 1, 'and is one learner still')
    t.equal(users[0]?.nickname, 'Ana <3 ñandú')
    t.equal(users[0]?.pubkey, `ssh-dss ${await laptop.pubkey()}`)
    t.match(users[0]?.serials[0], /^[A-Z]{3}[0-9]{8}$/, 'with the serial that Sugar made up')
  })

  t.test('keeps a presence server and a backup address that another service names', async (t) => {
    const presence = definePlugin({
      name: 'presence',
      api: 1,
      summary: 'Names a presence server.',
      start: (ctx) =>
        ctx.tap(Registration.enrol, () => ({
          jabberserver: 'chat.school',
          backupurl: 'child@school:backup',
        })),
    })
    const house = await boot({ plugins: [id, presence] })
    t.teardown(() => house.dispose())
    const laptop = new SugarLaptop(folder, join(folder, 'second'))
    await laptop.make('Chu')
    t.same(await laptop.register(`${await house.url('id')}/`), { registered: true })
    const settings = await laptop.settings()
    t.match(settings, /jabber-server='chat\.school'/)
    t.match(settings, /backup-url='child@school:backup'/)
  })

  t.test('tells the child that registration is closed, and does not break', async (t) => {
    const house = await boot({ plugins: [id], settings: { registration: 'closed' } })
    t.teardown(() => house.dispose())
    const laptop = new SugarLaptop(folder, join(folder, 'third'))
    await laptop.make('Bo')
    t.same(await laptop.register(`${await house.url('id')}/`), {
      shown: 'The server could not complete the request.',
    })
  })
})
