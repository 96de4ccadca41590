import { readdir, readFile, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { until } from '../../../support/core/server-process.js'
import { needs } from '../../../support/needs.js'
import { fill, openHouse, rsyncsOf } from '../../../support/rsync/rsync-server.js'

t.setTimeout(300_000)

/** An rsync speaks to its client itself, or through the server. */
const ways: readonly Record<string, string>[] = [{}, { 'rsync-bandwidth': '20000' }]

t.test('who asks for what is refused reads what that is, and gives up his place', async (t) => {
  if (!needs(t, 'rsync', 'rsync')) return
  for (const settings of ways) {
    const { rsync, pub, root, beside, fetching } = await openHouse(t, settings)
    await fill(join(pub, 'films'), { film: 'film' })
    const names = join(beside, 'names')
    await writeFile(names, Array.from({ length: 50_000 }, (_, n) => `some/long/path/of/film-${n}\n`).join(''))
    const refusals: readonly [RegExp, ...string[]][] = [
      [/configured to refuse --copy-links \(-L\)/, '-L'],
      [/configured to refuse --copy-dirlinks \(-k\)/, '-k'],
      [/configured to refuse --copy-unsafe-links/, '--copy-unsafe-links'],
      [/configured to refuse --copy-devices/, '--copy-devices'],
      [/configured to refuse --log-file/, '-M--log-file=/tmp/x'],
      [/on remote machine: --frobnicate: unknown option/, '-M--frobnicate'],
      [/configured to refuse --copy-links \(-L\)/, '-L', `--files-from=${names}`],
      [/configured to refuse --copy-links \(-L\)/, '-L', `--exclude-from=${names}`],
    ]
    const refuses = async (protocol: string) => {
      for (const [words, ...options] of refusals) {
        const to = join(beside, `to-${protocol}`)
        const { code, err } = await rsync('-a', `--protocol=${protocol}`, ...options, '::films/', to)
        t.not(code, 0, options.join(' '))
        t.match(err, words, `${options.join(' ')} in protocol ${protocol}`)
      }
    }
    await Promise.all(['29', '32'].map(refuses))
    await until(async () => (await fetching()).length === 0, 'all places to be free')
    t.same(await rsyncsOf(root), [])
  }
})

t.test('nothing is taken from a client', async (t) => {
  if (!needs(t, 'rsync', 'rsync')) return
  const { rsync, pub, beside } = await openHouse(t)
  await fill(join(pub, 'films'), { film: 'film' })
  await fill(join(beside, 'mine'), { bad: 'bad' })
  for (const more of [[], ['--delete'], ['--remove-source-files'], ['--inplace', '--append']]) {
    const sent = await rsync('-a', ...more, `${beside}/mine/`, '::films/')
    t.not(sent.code, 0)
    t.match(sent.err, 'module is read only')
  }
  const taken = await rsync('-a', '--remove-source-files', '::films/', `${beside}/taken/`)
  t.not(taken.code, 0, 'nor removed for it')
  t.same(await readdir(join(pub, 'films')), ['film'])
})

t.test('what goes wrong is told to the client, whatever it speaks', async (t) => {
  if (!needs(t, 'rsync', 'rsync')) return
  for (const settings of ways) {
    const { rsync, pub, beside } = await openHouse(t, settings)
    await fill(join(pub, 'films'), { film: 'film' })
    const tells = async (protocol: string) => {
      const to = join(beside, `to-${protocol}`)
      const missing = await rsync('-a', `--protocol=${protocol}`, '::films/missing', to)
      t.equal(missing.code, 23)
      t.match(missing.err, /^rsync: \[sender\] link_stat "\/?missing" \(in films\) failed: No such file/)
      const secluded = await rsync('-as', `--protocol=${protocol}`, '::films/missing too', to)
      t.match(secluded.err, /^rsync: \[sender\] link_stat "\/?missing too" \(in films\) failed: No such file/)
    }
    await Promise.all(['29', '30', '31', '32'].map(tells))
  }
})

t.test('no link leads out of a module', async (t) => {
  if (!needs(t, 'rsync', 'rsync')) return
  const { rsync, pub, beside } = await openHouse(t)
  await fill(join(beside, 'secret'), { 'of-another': 'hush' })
  await fill(join(pub, 'films'), { 'deep/film': 'film' })
  await symlink(join(beside, 'secret', 'of-another'), join(pub, 'films', 'file'))
  await symlink(join(beside, 'secret'), join(pub, 'films', 'folder'))
  await symlink('../../../../../beside/secret', join(pub, 'films', 'deep', 'up'))
  const plain = await rsync('-a', '::films/', join(beside, 'plain'))
  t.equal(plain.code, 0, 'links themselves are files like others')
  const names = join(beside, 'names')
  await writeFile(names, 'folder/of-another\ndeep/up/of-another\n')
  const tries = [
    ['-aL', '::films/'],
    ['-a', '--copy-unsafe-links', '::films/'],
    ['-ak', '::films/'],
    ['-a', '::films/folder/'],
    ['-a', '::films/folder/of-another'],
    ['-a', '::films/deep/up/of-another'],
    ['-aR', '::films/deep/./up/of-another'],
    ['-a', '::films/f*/of*'],
    ['-a', '::films/../../../beside/secret/'],
    ['-a', `--files-from=${names}`, '::films/'],
    ['-a', '--copy-as=root', '-L', '::films/file'],
  ]
  for (const [at, words] of tries.entries()) {
    const to = join(beside, `stolen-${at}`)
    const { out, err } = await rsync(...words, to)
    const found = await readdir(to, { recursive: true, withFileTypes: true }).catch(() => [])
    for (const entry of found) {
      if (!entry.isFile()) continue
      t.not(await readFile(join(entry.parentPath, entry.name), 'utf8'), 'hush', words.join(' '))
    }
    t.notMatch(out + err, 'hush')
  }
  t.match((await rsync('-aL', '::films/', join(beside, 'no'))).err, 'configured to refuse --copy-links')
})
