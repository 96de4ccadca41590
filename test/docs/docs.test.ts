import { spawnSync } from 'node:child_process'
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import t from 'tap'
import { boot } from '../../core/testing.js'
import activation from '../../plugins/activation/plugin.js'
import backup from '../../plugins/backup/plugin.js'
import id from '../../plugins/id/plugin.js'
import keyring from '../../plugins/keyring/plugin.js'
import rsync from '../../plugins/rsync/plugin.js'
import upgrade from '../../plugins/upgrade/plugin.js'
import { parseServer, ports, registerLaptop } from '../../sugaroid/index.js'

t.setTimeout(300_000)

const home = fileURLToPath(new URL('../../..', import.meta.url))

t.test('the sample settings and the reference say what the code says', (t) => {
  const { status, stderr } = spawnSync(process.execPath, [join(home, 'scripts/docs.mjs'), '--check'], {
    encoding: 'utf8',
  })
  t.equal(
    stderr
      .split('\n')
      .filter((line) => line.includes('run "npm run docs"'))
      .join('\n'),
    '',
  )
  t.equal(status, 0)
  t.end()
})

t.test('every plugin has a manual page with all its sections', async (t) => {
  const sections = ['Name', 'Description', 'Options', 'Commands', 'Interface', 'Needs', 'Examples']
  const plugins = await readdir(join(home, 'plugins'))
  t.not(plugins.length, 0)
  for (const plugin of plugins) {
    const page = await readFile(join(home, 'plugins', plugin, 'README.md'), 'utf8')
    t.same(
      [...page.matchAll(/^## (.*)$/gm)].map(([, title]) => title),
      sections,
      plugin,
    )
  }
})

t.test("every option and command of a plugin stands in the plugin's manual page", async (t) => {
  for (const plugin of [id, backup, keyring, activation, rsync, upgrade]) {
    const page = await readFile(join(home, 'plugins', plugin.name, 'README.md'), 'utf8')
    for (const option of Object.keys(plugin.options)) t.ok(page.includes(`\`${option}\` (`), option)
    for (const command of Object.keys(plugin.commands))
      t.ok(page.includes(`\`${plugin.name} ${command}`), command)
  }
})

t.test('links between documents lead somewhere', async (t) => {
  const pages = (await readdir(home, { recursive: true })).filter(
    (path) => path.endsWith('.md') && !/node_modules|^dist|^\.tap/.test(path),
  )
  for (const page of pages) {
    const text = await readFile(join(home, page), 'utf8')
    for (const [, target = ''] of text.matchAll(/\]\((?!https?:)([^)#]+)[^)]*\)/g)) {
      await t.resolves(
        readdir(join(home, page, '..', target)).catch(() => readFile(join(home, page, '..', target))),
        `${page}: ${target}`,
      )
    }
  }
})

t.test('the plugin of the guide works as it stands there', async (t) => {
  const guide = await readFile(join(home, 'docs/guide/plugins.md'), 'utf8')
  const [, code = ''] = /```js\n([\s\S]*?)```/.exec(guide) ?? []
  t.ok(code.split('\n').length <= 40, 'it is no longer than forty lines')
  const folder = await mkdtemp(join(tmpdir(), 'sugar-guide-'))
  t.teardown(() => rm(folder, { recursive: true, force: true }))
  // Here the server is not an installed package: its own addresses stand in for its name.
  const local = code
    .replace("'sugar-server'", `'${pathToFileURL(join(home, 'dist/core/api.js')).href}'`)
    .replace("'sugar-server/plugins/id'", `'${pathToFileURL(join(home, 'dist/plugins/id/public.js')).href}'`)
  await writeFile(join(folder, 'diary.mjs'), local)
  const { default: diary } = (await import(pathToFileURL(join(folder, 'diary.mjs')).href)) as {
    default: unknown
  }
  const house = await boot({ plugins: [id, diary], settings: { 'diary-school': 'Escuela 42' } })
  t.teardown(() => house.dispose())
  const server = new URL(await house.url('id')).host
  const { result } = await registerLaptop(join(folder, 'laptop'), {
    server: parseServer(server, ports.xmlrpc),
    nick: 'Ana',
  })
  t.match(result, { outcome: 'registered', reply: { config: { school: 'Escuela 42' } } })
  await t.resolveMatch(listed(), [{ nickname: 'Ana' }])

  async function listed(): Promise<unknown> {
    // News is not waited for by whoever tells it.
    for (let tries = 1; ; tries += 1) {
      const rows = JSON.parse((await house.command(['diary', 'list'], { json: true })).out) as unknown[]
      if (rows.length > 0 || tries === 100) return rows
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
  }
})
