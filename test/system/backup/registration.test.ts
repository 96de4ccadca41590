import { spawnSync } from 'node:child_process'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { makeJournal, openIdentity } from '../../../sugaroid/index.js'
import { canBackUp, openSchool, quiet } from '../../support/backup/backup-school.js'
import { listing, unequal } from '../../support/backup/tree-listing.js'
import { run } from '../../support/core/server-process.js'
import { needs } from '../../support/needs.js'
import { clientWithDsa, opensshHasDsa } from '../../support/openssh.js'
import { temporaryDirectory } from '../../support/temporary-directory.js'

t.setTimeout(300_000)

/** Registers as Sugar does, and prints the reply. */
const script = `
import json, sys, xmlrpc.client
url, *who = sys.argv[1:]
print(json.dumps(xmlrpc.client.ServerProxy(url).register(*who)))
`

t.test('what a laptop is told when it registers is all that it needs to back up', async (t) => {
  if (!needs(t, 'python3', 'python3') || !canBackUp(t)) return
  const school = await openSchool(t)
  const home = await temporaryDirectory(t)
  const { uid, pubkey, keyFile } = await openIdentity(home, { nick: 'Noa', key: 'dsa' })
  const uuid = '01234567-89ab-4cde-8f01-23456789abcd'
  const who = ['SHC00FF0011', 'Noa', uuid, pubkey]
  const { out, err } = await run(t, ['python3', '-c', script, `http://127.0.0.1:${school.ports.id}/`, ...who])
  t.equal(err, '')
  const reply = JSON.parse(out) as { backupurl: string; backuppath: string; config: Record<string, string> }
  const { http, ssh } = school.ports
  t.match(reply, {
    success: 'OK',
    backupurl: `${uid}@127.0.0.1:current`,
    backuppath: 'current',
    config: { 'backup-url': `ssh://${uid}@127.0.0.1:${ssh}/current`, 'backup-port': String(http) },
  })

  // Nothing but what was told, and the key.
  const { protocol, username, hostname, port, pathname } = new URL(reply.config['backup-url'] ?? '')
  t.equal(protocol, 'ssh:')
  const asked = await fetch(`http://${hostname}:${reply.config['backup-port']}/backup/uuid/available/${uuid}`)
  t.equal(asked.status, 200)
  t.equal(await asked.text(), '')
  const datastore = join(home, 'Journal')
  await makeJournal(datastore, { entries: 5, megabytes: 0.2 })
  const options = [
    'IdentitiesOnly=yes',
    'BatchMode=yes',
    'StrictHostKeyChecking=accept-new',
    'UserKnownHostsFile=/dev/null',
  ]
  const [program, ...first] = opensshHasDsa ? ['ssh'] : clientWithDsa
  const settings = [...options, 'LogLevel=ERROR', 'PubkeyAcceptedAlgorithms=+ssh-dss']
  const shell = [...first, '-F', '/dev/null', '-i', keyFile, ...settings.flatMap((one) => ['-o', one])]
  const by = (port: string) => ['-e', [program, ...shell, '-p', port].join(' ')]
  const place = `${username}@${hostname}:${pathname.slice(1)}`
  const sent = spawnSync('rsync', ['-a', ...by(port), `${datastore}/`, place], { encoding: 'utf8' })
  t.match(sent, { status: 0, stderr: '' })
  await quiet(school)
  t.match(await school.list(), [{ uid, nickname: 'Noa', serials: ['SHC00FF0011'], snapshots: 1 }])
  // As older Sugars have it: what stands before the colon and what after it.
  const back = join(home, 'back')
  const fetched = spawnSync('rsync', ['-a', ...by(String(ssh)), `${reply.backupurl}/`, back], {
    encoding: 'utf8',
  })
  t.match(fetched, { status: 0, stderr: '' })
  t.same(unequal(listing(datastore), listing(back)), [])
  const again = await fetch(
    `http://${hostname}:${http}/backup/uuid/available/${uuid}?journal=${'0'.repeat(64)}`,
  )
  t.equal(again.status, 200, 'another Journal than the one that is kept')

  mkdirSync(join(home, 'odd'))
  writeFileSync(join(home, 'odd', 'x'), 'x')
  for (const [words, told] of [
    [[`${join(home, 'odd')}/`, `${username}@${hostname}:../x`], /no name|name in the path|\.\./],
    [[`${join(home, 'odd')}/`, `${username}@${hostname}:snapshots/latest`], /snapshots cannot be changed/],
    [['--inplace', `${join(home, 'odd')}/`, place], /--inplace is refused/],
  ] as const) {
    const { status, stderr } = spawnSync('rsync', ['-a', ...by(port), ...words], { encoding: 'utf8' })
    t.not(status, 0)
    t.match(stderr, told)
  }
  const shellless = spawnSync(program ?? '', [...shell, '-p', port, `${username}@${hostname}`, 'id'], {
    encoding: 'utf8',
  })
  t.not(shellless.status, 0)
  t.equal(shellless.stdout, '')
  t.notMatch(school.server.said.err, uuid, 'the uuid is in no log')
  t.notMatch(school.server.said.err, readFileSync(keyFile, 'utf8').split('\n')[1] ?? '')
  t.equal((await school.server.stop()).code, 0)
})
