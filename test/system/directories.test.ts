import { existsSync, mkdirSync, readdirSync, renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { boot, type TestHouse } from '../../core/testing.js'
import { laptop, listed, register } from '../support/id/registering-laptops.js'
import { needs } from '../support/needs.js'
import { temporaryDirectory } from '../support/temporary-directory.js'

t.setTimeout(300_000)

const noGate = { 'keyring-role': 'authority' }

/** Each plugin that keeps what cannot be made again: where, and something that writes there. */
const kinds = [
  {
    plugins: ['rsync', 'upgrade'],
    directory: 'rsync',
    name: 'rsync-root',
    message: /the disk with the published builds is not mounted at/,
    write: (house: TestHouse) => house.command(['rsync', 'refresh']),
    blocked: 'upgrade',
    settings: {},
  },
  {
    plugins: ['keyring'],
    directory: 'keyring',
    name: 'keyring',
    message: /the disk with the keys is not mounted at/,
    write: (house: TestHouse) => house.command(['keyring', 'generate'], { args: { role: 'server' } }),
    blocked: undefined,
    settings: noGate,
  },
  {
    plugins: ['id'],
    directory: 'store',
    name: 'store',
    message: /the disk with the documents of the plugins is not mounted at/,
    write: (house: TestHouse) => house.command(['id', 'list']),
    blocked: undefined,
    settings: {},
  },
]

async function server(t: Test, plugins: string[], root: string, settings: Record<string, string>) {
  const house = await boot({ plugins, root, settings })
  t.teardown(() => house.dispose())
  return house
}

const stateOf = async (house: TestHouse, plugin: string) =>
  (await house.status()).plugins.find(({ name }) => name === plugin)

for (const { plugins, directory, name, message, write, blocked, settings } of kinds) {
  const [plugin = ''] = plugins
  t.test(`${plugin}: an empty mount point in the place of ${name}`, async (t) => {
    if (plugin === 'rsync' && !needs(t, 'rsync', 'rsync')) return
    const root = await temporaryDirectory(t)
    const place = join(root, directory)
    const away = join(root, 'unplugged')
    const first = await server(t, plugins, root, settings)
    t.match(await stateOf(first, plugin), { state: 'running' }, 'the first start makes it in silence')
    t.match(await write(first), { ended: { exit: 0 } })

    // While it runs.
    renameSync(place, away)
    mkdirSync(place)
    const told = { code: 'WRONG_DIRECTORY', message, hint: new RegExp(`accept-directory ${name}`) }
    t.match(await stateOf(first, plugin), { state: 'unavailable', ...told })
    t.match(await write(first), { ended: { exit: 69, message } })
    const asked = await fetch(`${await first.url('httpd')}/health`)
    t.equal(asked.status, 503)
    t.strictSame(readdirSync(place), [], 'nothing is written there')
    rmSync(place, { recursive: true })
    renameSync(away, place)
    t.match(await stateOf(first, plugin), { state: 'running' }, 'it is back')
    t.match(await write(first), { ended: { exit: 0 } })
    t.strictSame(await first.dispose(), [])

    // At the start.
    renameSync(place, away)
    for (const isEmpty of [false, true]) {
      if (isEmpty) mkdirSync(place)
      const house = await server(t, plugins, root, settings)
      t.match(await stateOf(house, plugin), { state: 'unavailable', ...told })
      if (blocked !== undefined) t.match(await stateOf(house, blocked), { state: 'blocked' })
      t.match(await write(house), { ended: { exit: 69, message } })
      const answer = await fetch(`${await house.url('httpd')}/client/lease?serial=SHC00000001`)
      t.equal(answer.status, 503, 'a laptop is not told that there is no such address')
      t.match(answer.headers.get('retry-after'), /^\d+$/)
      t.match(await (await fetch(`${await house.url('httpd')}/health`)).json(), {
        status: 'degraded',
        plugins: { [plugin]: 'unavailable' },
      })
      await house.dispose()
      t.strictSame(existsSync(place) ? readdirSync(place) : [], [], 'nothing is written there')
    }
    rmSync(place, { recursive: true })
    renameSync(away, place)
    const back = await server(t, plugins, root, settings)
    t.match(await stateOf(back, plugin), { state: 'running' })
  })
}

t.test('with the store away no laptop is registered anew, and all are known when it is back', async (t) => {
  const root = await temporaryDirectory(t)
  const house = await server(t, ['id'], root, {})
  const url = await house.url('id')
  t.match(await register(url, laptop(1)), { success: 'OK' })
  renameSync(join(root, 'store'), join(root, 'unplugged'))
  mkdirSync(join(root, 'store'))
  t.match(await register(url, laptop(2)), { success: 'ERR', error: /tell your teacher/ })
  rmSync(join(root, 'store'), { recursive: true })
  renameSync(join(root, 'unplugged'), join(root, 'store'))
  t.match(await register(url, laptop(3)), { success: 'OK' })
  t.equal((await listed(house)).size, 2)
})
