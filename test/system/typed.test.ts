import { readdirSync, readFileSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { cli, freePorts, run, startServer } from '../support/core/server-process.js'
import { temporaryDirectory } from '../support/temporary-directory.js'

const clone = fileURLToPath(new URL('../../..', import.meta.url))

t.test('what the server says to type works in any directory', async (t) => {
  // As npm starts it: with folders in front of the PATH that no shell of the person has.
  const env = {
    PATH: `${join(clone, 'node_modules/.bin')}:${process.env.PATH}`,
    npm_lifecycle_event: 'start',
  }
  const server = await startServer(t, { args: [...freePorts, '--plugins', 'id,backup'], env })
  const typed = [...server.said.out.matchAll(/(?:^ +next|try it:) +(.*)$/gm)].map(
    ([, command = '']) => command,
  )
  t.equal(typed.length, 3, server.said.out)
  t.ok(
    typed.every((command) => /^'?\/.*\/(?:sugaroid|sugar-server)/.test(command)),
    typed.join('\n'),
  )
  for (const command of typed.filter((words) => !words.includes(' demo '))) {
    const { code, out, err } = await run(t, ['sh', '-c', command])
    t.equal(code, 0, command + out + err)
  }
  const lost = await cli(t, ['status'])
  const [, hint = ''] = /start it with "([^"]+)"/.exec(lost.err) ?? []
  t.match((await run(t, ['sh', '-c', `${hint} --version`])).code, 0, hint)
})

t.test('where the shell finds the program by its name, that is what is said', async (t) => {
  const folder = await temporaryDirectory(t)
  for (const name of ['sugar-server', 'sugaroid'])
    symlinkSync(join(clone, 'dist/bin', name), join(folder, name))
  const env = { PATH: `${folder}:${process.env.PATH}` }
  t.match((await cli(t, ['status'], { env })).err, 'start it with "sugar-server"')
  const other = await temporaryDirectory(t)
  symlinkSync('/bin/true', join(other, 'sugar-server'))
  const elsewhere = await cli(t, ['status'], { env: { PATH: `${other}:${env.PATH}` } })
  t.match(
    elsewhere.err,
    /start it with "\/.*\/dist\/bin\/sugar-server"/,
    "and another's program is not meant",
  )
})

t.test('no manual has anybody run a program by way of a registry', async (t) => {
  const guides = readdirSync(join(clone, 'docs/guide')).map((name) => `docs/guide/${name}`)
  const manuals = readdirSync(join(clone, 'plugins')).map((name) => `plugins/${name}/README.md`)
  for (const file of ['README.md', 'CONTRIBUTING.md', ...guides, ...manuals])
    t.notMatch(readFileSync(join(clone, file), 'utf8'), /\b(?:npx|npm exec|npm x)\b/, file)
})
