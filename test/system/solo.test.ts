import { join } from 'node:path'
import t from 'tap'
import { cli, pluginSource, written } from '../support/core/server-process.js'
import { temporaryDirectory } from '../support/temporary-directory.js'

t.test(
  'without a server, what a plugin knows of its own failure is said once; what it does not, with the stack',
  async (t) => {
    const home = await temporaryDirectory(t)
    const wanting = await written(
      t,
      'wanting.mjs',
      pluginSource('wanting', "system: [program('no-such-program', { package: 'no-such-package' })],"),
    )
    const broken = await written(t, 'broken.mjs', pluginSource('broken', '', 'undefined.no()'))
    const on = (plugins: string) =>
      cli(t, ['id', 'list', '--root', join(home, 'root'), '--plugins', `id,${plugins}`], { home })
    t.match(await on(wanting), {
      code: 0,
      err: /^sugar-server: wanting is unavailable: [^\n]+\n {2}install the package no-such-package: [^\n]+\n$/,
    })
    const { code, err } = await on(broken)
    t.equal(code, 0)
    const [log = '', ...told] = err.split('\n').sort((line) => (line.startsWith('{') ? -1 : 1))
    t.match(JSON.parse(log), {
      level: 50,
      plugin: 'broken',
      code: 'PLUGIN_FAILED',
      err: { stack: /broken\.mjs/ },
    })
    t.same(told.filter(Boolean).length, 1)
    t.match(told.join(''), /^sugar-server: broken is failed: Cannot read properties of undefined/)
  },
)
