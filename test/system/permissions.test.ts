import { lstat, readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { freePorts, program, run, startServer } from '../support/core/server-process.js'
import { madeUpKey } from '../support/ssh-keys.js'
import { enrol, newLaptop } from '../support/sugaroid/registrants.js'
import { temporaryDirectory } from '../support/temporary-directory.js'

t.setTimeout(300_000)

/** What under a directory, and itself, anybody but its owner can do something with. */
async function open(root: string): Promise<string[]> {
  const names = ['', ...(await readdir(root, { recursive: true }))]
  const modes = await Promise.all(
    names.map(async (name) => ({ name, mode: (await lstat(join(root, name))).mode })),
  )
  return modes
    .filter(({ mode }) => (mode & 0o077) !== 0)
    .map(({ name, mode }) => `${name} ${mode.toString(8)}`)
}

for (const umask of ['000', '077']) {
  const prefix = ['sh', '-c', `umask ${umask}; exec "$@"`, 'sh']

  t.test(`nothing under root is anybody else's with umask ${umask}, while it runs and after`, async (t) => {
    const server = await startServer(t, { prefix })
    t.equal((await enrol(newLaptop(), await server.url('id'))).outcome, 'registered')
    t.ok((await readdir(server.root, { recursive: true })).includes('run/control.sock'))
    t.same(await open(server.root), [])
    t.equal((await server.stop()).code, 0)
    t.same(await open(server.root), [])
  })

  t.test(`a command with no server leaves nothing open either with umask ${umask}`, async (t) => {
    const home = await temporaryDirectory(t)
    const root = join(home, 'deep', 'root')
    const laptop = { nickname: 'Ana', pubkey: madeUpKey(), serial: 'SHC00000001' }
    await writeFile(join(home, 'one.json'), JSON.stringify([laptop]))
    const words = [
      ...prefix,
      process.execPath,
      program,
      'id',
      'import',
      'one.json',
      '--root',
      root,
      ...freePorts,
    ]
    t.match(await run(t, words, { cwd: home }), { code: 0, out: /^1 added/ })
    t.same(await open(root), [])
  })
}
