import { execFile } from 'node:child_process'
import { chmod, chown, mkdir, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import t, { type Test } from 'tap'
import { definePlugin, token } from '../../core/api.js'
import type { Given } from '../../core/config/layers.js'
import { makePlan } from '../../core/loading/plan.js'
import { enlist } from '../../core/loading/roster.js'
import { checkShape } from '../../core/loading/shape.js'
import { boot } from '../../core/testing.js'
import { booted, plugin, problemOf, states } from '../support/core/boot-plugins.js'
import { temporaryDirectory } from '../support/temporary-directory.js'

const ours = fileURLToPath(new URL('../../..', import.meta.url))
const isRoot = process.getuid?.() === 0

/** What stands in a settings file of `folder`. */
const set = (folder: string, settings: Record<string, string>): Given[] =>
  Object.entries(settings).map(([name, text], index) => ({
    name,
    text,
    origin: { from: 'file', file: join(folder, 'school.conf'), line: index + 1 },
    base: folder,
  }))

/** Lays out files; a key is a path below a new directory. */
async function laidOut(t: Test, files: Record<string, string>): Promise<string> {
  const folder = await temporaryDirectory(t)
  for (const [path, content] of Object.entries(files)) {
    const file = join(folder, path)
    await mkdir(dirname(file), { recursive: true })
    await writeFile(file, content, { mode: 0o644 })
  }
  return folder
}

const source = (name: string, more = '') => `
  import { definePlugin } from 'sugar-server'
  export default definePlugin({ name: '${name}', api: 1, summary: 'a plugin', start() {}, ${more} })`

const enlisted = async (folder: string, ...words: string[]) =>
  enlist(set(folder, { plugins: words.join(', ') }))

t.test('a plugin anywhere on the disk imports the very server that loads it', async (t) => {
  const folder = await laidOut(t, {
    'guard.mjs': `
      import { definePlugin, RequestError, token } from 'sugar-server'
      import { boot } from 'sugar-server/testing'
      export default definePlugin({
        name: 'guard',
        api: 1,
        summary: 'refuses',
        needs: { clock: token('clock/clock@1') },
        start(ctx) {
          ctx.http.router.get('/refuse', () => {
            throw new RequestError('REFUSED', ctx.needs.clock + ', ' + typeof boot)
          })
        },
      })`,
  })
  const { members, problems } = await enlisted(folder, join(folder, 'guard.mjs'))
  t.same(problems, [])
  t.match(members, [{ name: 'guard', source: 'path' }])
  const clock = definePlugin({
    name: 'clock',
    api: 1,
    summary: 'tells the time',
    provides: { clock: token<string>('clock/clock@1') },
    start: () => ({ clock: 'noon' }),
  })
  const house = await booted(t, [members[0]?.plugin, clock])
  const answer = await fetch(`${await house.url('httpd')}/refuse`)
  t.equal(answer.status, 403, 'its RequestError is our RequestError')
  t.same(await answer.json(), { success: 'ERR', error: 'noon, function' })
})

t.test('a path may name a module or a directory, from the settings file on', async (t) => {
  const folder = await laidOut(t, {
    'file.mjs': source('file'),
    'by-name/plugin.mjs': source('by-name'),
    'by-index/package.json': '{ "type": "module" }',
    'by-index/index.js': source('by-index'),
    'by-main/package.json': '{ "main": "lib/main.mjs" }',
    'by-main/lib/main.mjs': source('by-main'),
    'by-exports/package.json': '{ "exports": "./out.mjs", "main": "nowhere.js" }',
    'by-stem/package.json': '{ "type": "module", "main": "lib" }',
    'by-stem/lib.js': source('by-stem'),
    'by-exports/out.mjs': source('by-exports'),
    'by-condition/package.json': '{ "exports": { ".": { "types": "./x.d.ts", "import": "./esm.mjs" } } }',
    'by-condition/esm.mjs': source('by-condition'),
    'broken-manifest/package.json': '{ main: nowhere }',
    'broken-manifest/plugin.mjs': source('broken-manifest'),
  })
  const names = ['by-name', 'by-index', 'by-main', 'by-stem', 'by-exports', 'by-condition', 'broken-manifest']
  const { members, problems } = await enlisted(folder, './file.mjs', ...names.map((name) => `./${name}/`))
  t.same(problems, [])
  t.same(
    members.map(({ name, problem }) => problem?.message ?? name),
    ['file', ...names],
  )
})

t.test('an npm package lies in a node_modules above the settings file', async (t) => {
  const esm = '{ "type": "module", "exports": { ".": { "types": "./x.d.ts", "import": "./out.js" } } }'
  const folder = await laidOut(t, {
    'node_modules/sugar-plain/package.json': '{ "type": "module", "exports": "./out.js" }',
    'node_modules/sugar-plain/out.js': source('plain'),
    'node_modules/@school/scoped/package.json': '{ "type": "module", "main": "out.js" }',
    'node_modules/@school/scoped/out.js': source('scoped'),
    'node_modules/sugar-esm/package.json': esm,
    'node_modules/sugar-esm/out.js': source('esm'),
    'etc/school.conf': '',
  })
  const words = ['sugar-plain', '@school/scoped', 'sugar-esm']
  const { members, problems } = await enlisted(join(folder, 'etc'), ...words)
  t.same(problems, [])
  t.match(members, [
    { name: 'plain', source: 'package' },
    { name: 'scoped', source: 'package' },
    { name: 'esm', source: 'package' },
  ])
})

t.test('a package that merely lies in the working directory is not run', async (t) => {
  const folder = await laidOut(t, {
    'node_modules/stranger/package.json': '{ "type": "module", "exports": "./out.js" }',
    'node_modules/stranger/out.js': source('stranger'),
    'etc/school.conf': '',
  })
  const before = process.cwd()
  process.chdir(folder)
  t.teardown(() => process.chdir(before))
  t.match((await enlisted('/etc', 'stranger')).problems, [{ code: 'PLUGIN_NOT_FOUND' }])
  t.same((await enlisted(folder, 'stranger')).problems, [])
})

t.test('a plugin that is not found is told with every place that was tried', async (t) => {
  const folder = await temporaryDirectory(t)
  const { members, problems } = await enlisted(folder, 'no-such-plugin', './gone', 'idd')
  t.same(members, [])
  t.equal(problems.length, 3)
  const [named, path, near] = problems
  t.match(named, { code: 'PLUGIN_NOT_FOUND', hint: /^name a bundled plugin/ })
  for (const place of [
    join('plugins', 'no-such-plugin', 'plugin.js'),
    join(folder, 'node_modules', 'no-such-plugin'),
    join(dirname(folder), 'node_modules', 'no-such-plugin'),
    join(ours, 'node_modules', 'no-such-plugin'),
  ]) {
    t.match(named?.message, place)
  }
  for (const place of ['', '/plugin.js', '/plugin.mjs', '/index.js', '/index.mjs']) {
    t.match(path?.message, `${join(folder, 'gone')}${place}`)
  }
  t.match(near?.message, 'there is no plugin idd; did you mean "id"?')
})

t.test("Node's own modules are no plugins", async (t) => {
  // Not even where there is a package by the name of one, as Debian has some for all programs.
  const folder = await laidOut(t, {
    'node_modules/punycode/package.json': '{ "type": "module", "exports": "./out.js" }',
    'node_modules/punycode/out.js': source('punycode'),
  })
  for (const word of ['fs', 'node:fs', 'punycode']) {
    const { members, problems } = await enlisted(folder, word)
    t.same(members, [])
    t.match(problems, [{ code: 'PLUGIN_NOT_FOUND' }])
  }
})

t.test('a module that is no plugin fails alone, and says why', async (t) => {
  const folder = await laidOut(t, {
    'syntax.mjs': 'export default {',
    'throws.mjs': 'throw new Error("oh")',
    'missing.mjs': 'import "no-such-package"',
    'empty.mjs': '',
    'function.mjs': 'export default () => undefined',
    'future.mjs': source('future', 'api: 2'),
    'misspelt.mjs': source('misspelt', 'optoins: {}, provide: {}'),
    'well.mjs': source('well'),
  })
  const files = ['syntax', 'throws', 'missing', 'empty', 'function', 'future', 'misspelt', 'well']
  const { members, problems } = await enlisted(folder, ...files.map((name) => `./${name}.mjs`))
  t.same(problems, [])
  const file = (name: string) => join(folder, `${name}.mjs`)
  t.match(
    members.map(({ problem }) => problem),
    [
      { code: 'PLUGIN_INVALID', message: /syntax\.mjs cannot be loaded: / },
      { code: 'PLUGIN_INVALID', message: `${file('throws')} cannot be loaded: oh` },
      { code: 'PLUGIN_INVALID', message: /no-such-package/ },
      {
        code: 'PLUGIN_INVALID',
        message: `${file('empty')} is not a plugin: its default export is not an object`,
      },
      { code: 'PLUGIN_INVALID', message: /its default export is not an object/ },
      { message: /api was written for plugin API 2, this server has 1: install a version that fits/ },
      {
        message:
          /unknown key optoins; did you mean "options"\?; unknown key provide; did you mean "provides"\?/,
      },
      undefined,
    ],
  )
  const plan = await makePlan({ members, problems }, set(folder, {}))
  t.same(plan.problems, [], 'the boot is not stopped')
  t.equal(plan.members[0]?.name, 'well', 'those that can run come first')
})

t.test('whatever is wrong with a plugin is told at once', async (t) => {
  const wrong = (spec: object): string => {
    try {
      checkShape({ name: 'x', api: 1, summary: 's', start() {}, ...spec }, 'x.mjs')
      return ''
    } catch (error) {
      return problemOf(error).message.replace('x.mjs is not a plugin for this server: ', '')
    }
  }
  t.equal(wrong({}), '')
  t.equal(
    wrong({ name: 'Not Good', api: '1', summary: '', start: true, system: {} }),
    [
      'name must be lower-case letters, digits and hyphens',
      'api was written for plugin API 1, this server has 1: install a version that fits',
      'summary must be text',
      'start must be a function',
      'system must be a list of probes',
    ].join('; '),
  )
  t.equal(wrong({ name: 'core' }), 'name "core" is a word of the house')
  t.equal(wrong({ name: undefined, start: undefined }), 'name is missing; start is missing')
  t.equal(wrong({ options: { 'Bad Name': {} } }), 'options holds a bad name: "Bad Name"')
  t.equal(wrong({ options: { 'a-port': 8000 } }), 'options a-port: is not an option')
  t.equal(
    wrong({ needs: { users: 'id/users@1' } }),
    'needs users: is not a token, such as token("id/users@1")',
  )
  t.match(wrong({ provides: { users: { id: 'id/users' } } }), /is not a token/)
  t.equal(wrong({ collections: { notes: {} } }), 'collections notes: is not a collection: it has no key')
  t.equal(wrong({ commands: { go: {} } }), 'commands go: is not a command: it has no summary')
  t.equal(wrong({ prepare: 1 }), 'prepare must be a function')
})

t.test('a key that is there but undefined is as good as absent', async (t) => {
  const bare = {
    name: 'bare',
    api: 1,
    summary: 's',
    options: undefined,
    needs: undefined,
    wants: undefined,
    provides: undefined,
    collections: undefined,
    system: undefined,
    commands: undefined,
    prepare: undefined,
    start() {},
  }
  t.same(await states(await booted(t, [bare, plugin('well')])), { bare: 'running', well: 'running' })
})

t.test('a plugin is frozen, and a token has a form', (t) => {
  t.ok(Object.isFrozen(plugin('one')))
  for (const id of ['users', 'id/users', 'id/users@0', 'Id/users@1', 'id/users@1 ', 'id/users@1.5']) {
    t.throws(() => token(id as 'id/users@1'), { name: 'TypeError', message: `not "${id}"` }, id)
  }
  t.same(token('id/users.by-uid@12'), { id: 'id/users.by-uid@12' })
  t.end()
})

t.test('code that strangers can change is not run', async (t) => {
  const folder = await laidOut(t, {
    'open.mjs': `globalThis.wasRun = true; ${source('open')}`,
    'strange.mjs': source('strange'),
  })
  const open = join(folder, 'open.mjs')
  await chmod(open, 0o666)
  const { members } = await enlisted(folder, open)
  t.match(members, [
    {
      problem: {
        code: 'CONFIG_UNREADABLE',
        message: `${open} can be written by other users`,
        hint: `protect it: chmod go-w ${open}`,
      },
    },
  ])
  t.notOk('wasRun' in globalThis)
  if (!isRoot) return
  const strange = join(folder, 'strange.mjs')
  await chown(strange, 65534, 65534)
  t.match((await enlisted(folder, strange)).members, [
    { problem: { message: `${strange} belongs to another user` } },
  ])
})

t.test('a plugin that is listed twice stops the boot', async (t) => {
  const folder = await laidOut(t, { 'one.mjs': source('one'), 'two.mjs': source('one') })
  const { members, problems } = await enlisted(folder, './one.mjs', './two.mjs')
  t.equal(members.length, 1)
  t.match(problems, [
    {
      code: 'PLUGIN_CONFLICT',
      message: 'plugin one is listed twice',
      hint: 'list it once in the option plugins',
    },
  ])
  await t.rejects(boot({ plugins: [plugin('one'), plugin('one')] }), { code: 'PLUGIN_CONFLICT' })
})

t.test('the last layer that lists plugins wins, and its own directory counts', async (t) => {
  const folder = await laidOut(t, { 'one.mjs': source('one'), 'sub/two.mjs': source('two') })
  const { members } = await enlist([
    ...set(folder, { plugins: './one.mjs' }),
    ...set(join(folder, 'sub'), { plugins: './two.mjs' }),
  ])
  t.same(
    members.map(({ name }) => name),
    ['two'],
  )
})

t.test('bundled plugins need no way in: the module loader is left as it is', async (t) => {
  const folder = await laidOut(t, {
    'main.mjs': `
      const { loadPlugin } = await import(process.argv[2])
      const { source } = await loadPlugin('id', '/')
      const found = await import('sugar-server').then(() => 'found', ({ code }) => code)
      console.log(source, found)`,
  })
  const load = fileURLToPath(new URL('../../core/loading/load.js', import.meta.url))
  const env = { ...process.env, NODE_OPTIONS: '' }
  const { stdout } = await promisify(execFile)(process.execPath, [join(folder, 'main.mjs'), load], { env })
  t.equal(stdout, 'bundled ERR_MODULE_NOT_FOUND\n')
})
