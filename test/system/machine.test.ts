import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { knownVersions } from '../../core/lib/rsync/known-versions.js'
import { rsyncVersion } from '../../core/lib/rsync/version.js'
import { cli, freePorts, startServer } from '../support/core/server-process.js'
import { needs } from '../support/needs.js'
import { temporaryDirectory } from '../support/temporary-directory.js'

/** A PATH on which some programs say other things than those of this machine. */
async function pathWith(t: Test, scripts: Readonly<Record<string, string>>): Promise<string> {
  const folder = await temporaryDirectory(t)
  for (const [name, script] of Object.entries(scripts))
    await writeFile(join(folder, name), `#!/bin/sh\n${script}\n`, { mode: 0o755 })
  return `${folder}:${process.env.PATH}`
}

const rsyncOf = (version: string): string => `echo 'rsync  version ${version}  protocol version 32'`
const openssh10 = '[ "$1 $2" = "-Q key" ] && printf "ssh-ed25519\\nssh-rsa\\n"'

t.test('check says which rsync is here, and when it is one that was not tried', async (t) => {
  const check = async (script: string, plugins = 'id,backup,rsync') =>
    cli(t, ['check', ...freePorts, '--rsync-port', '0', '--plugins', plugins], {
      env: { PATH: await pathWith(t, { rsync: script }) },
    })
  const [tried = ''] = Object.keys(knownVersions)
  t.match((await check(rsyncOf(tried))).out, `machine   rsync ${tried}\n`)
  const { out } = await check(rsyncOf('9.8.7'))
  t.notMatch(out, /^PROBLEM.*9\.8\.7/m, 'which is no reason to refuse')
  t.match(
    out,
    /^machine {3}rsync 9\.8\.7, with which this server has not been tried \(it has with .*3\.5\.0\)$/m,
  )
  t.equal(out.match(/^machine/gm)?.length, 1, 'however many plugins need it')
  for (const odd of [
    'echo nonsense',
    'exit 1',
    "head -c 200000 /dev/zero | tr '\\0' x",
    'echo rsync version ../x 1',
  ])
    t.notMatch((await check(odd)).out, /^machine/m, odd)
})

t.test('the rsync of this machine is one that was tried', async (t) => {
  if (!needs(t, 'rsync', 'rsync')) return
  t.ok(Object.keys(knownVersions).includes((await rsyncVersion()).version.join('.')), 'and named')
})

t.test('where OpenSSH lets laptops in and has no DSA, check and status say who is refused', async (t) => {
  const env = { PATH: await pathWith(t, { ssh: openssh10 }) }
  const sshd = [...freePorts, '--plugins', 'id,backup', '--backup-transport', 'sshd']
  const words = /has no DSA: laptops with DSA keys, as every Sugar makes, are refused/
  const bad = await cli(t, ['check', ...sshd], { env })
  t.equal(bad.code, 1)
  t.match(bad.out, words)
  t.match(bad.out, /^ +set backup-transport to ssh2/m)
  const own = await cli(t, ['check', ...freePorts, '--plugins', 'id,backup'], { env })
  t.notMatch(own.out, words, "the server's own ssh takes them whatever OpenSSH is here")
  const silent = { PATH: await pathWith(t, { ssh: 'exit 1' }) }
  t.notMatch(
    (await cli(t, ['check', ...sshd], { env: silent })).out,
    words,
    'an ssh that does not say proves nothing',
  )

  const server = await startServer(t, { args: sshd, env })
  t.match((await server.status()).reports?.backup?.lines.join('\n'), words)
  t.ok(
    server.log().some(({ msg }) => words.test(msg)),
    'and the log warns',
  )
  t.match((await server.status()).plugins, [{ state: 'running' }, { state: 'running' }])
})
