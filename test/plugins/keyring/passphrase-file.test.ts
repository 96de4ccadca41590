import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { cli, freePorts } from '../../support/core/server-process.js'
import { pathOf } from '../../support/keyring/keyring-vectors.js'
import { temporaryDirectory } from '../../support/temporary-directory.js'

t.setTimeout(300_000)

t.test('without a server, a passphrase that is missing or wrong is said once, in a sentence', async (t) => {
  const home = await temporaryDirectory(t)
  const root = join(home, 'root')
  const file = join(home, 'passphrase')
  const set = ['--root', root, '--plugins', 'id,keyring', '--keyring-role', 'authority']
  const on = (words: readonly string[], path = file) =>
    cli(t, [...words, ...set, '--keyring-passphrase-file', path], { home })
  await writeFile(file, 'correct horse\n', { mode: 0o600 })
  t.match(await on(['keyring', 'import', pathOf('keys/lease.private')]), { code: 0, err: '' })
  await writeFile(file, 'battery staple\n')
  const missing = join(home, 'none')
  for (const [path, why] of [
    [file, /does not open the private key/],
    [missing, /none cannot be read \(ENOENT\)/],
  ] as const) {
    const { code, out, err } = await on(['keyring', 'list'], path)
    t.equal(code, 75, err)
    t.equal(out, '')
    t.match(err, why)
    t.match(err, /^sugar-server: keyring cannot do that now: [^\n]+\n {2}[^\n]+\n$/, 'a sentence and a hint')
    const other = await on(['id', 'list'], path)
    t.match(
      other,
      { code: 0, err: /^sugar-server: keyring is (failed|unavailable): [^\n]+\n {2}[^\n]+\n$/ },
      'who asks others hears of it',
    )
    t.match(await cli(t, ['explain', 'SHC94700123', ...set, '--keyring-passphrase-file', path], { home }), {
      err: /^sugar-server: keyring is (failed|unavailable): [^\n]+\n {2}[^\n]+\nsugar-server: no plugin knows/,
    })
  }
})

t.test('check looks for the file of the passphrase', async (t) => {
  const home = await temporaryDirectory(t)
  const check = (path: string) =>
    cli(
      t,
      [
        'check',
        '--root',
        join(home, 'root'),
        '--plugins',
        'keyring',
        ...freePorts,
        '--keyring-passphrase-file',
        path,
      ],
      { home },
    )
  const missing = join(home, 'none')
  t.match(await check(missing), {
    code: 1,
    out: /PROBLEM {3}keyring-passphrase-file: .*none cannot be read \(ENOENT\)\n {10}name a file/,
  })
  await mkdir(join(home, 'folder'))
  t.match(await check(join(home, 'folder')), { code: 1, out: /is no regular file/ })
  await writeFile(join(home, 'file'), 'correct horse\n', { mode: 0o600 })
  t.match(await check(join(home, 'file')), { code: 0, out: /all is well/ })
  t.match(await check(''), { code: 0 }, 'without a passphrase there is none to look for')
})
