import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import type { KeyType } from '../../../sugaroid/index.js'
import {
  canBackUp,
  enrolLearner,
  type Learner,
  openSchool,
  push,
  quiet,
  remote,
  rsync,
  type School,
} from '../../support/backup/backup-school.js'
import { canRunSshd, installedProgram, startSshd } from '../../support/backup/system-sshd.js'
import { listing, makeOddities, unequal } from '../../support/backup/tree-listing.js'
import { until } from '../../support/core/server-process.js'
import { freePorts } from '../../support/free-port.js'
import { opensshHasDsa } from '../../support/openssh.js'
import { isSoak, rounds } from '../../support/rounds.js'
import { temporaryDirectory } from '../../support/temporary-directory.js'

t.setTimeout(300_000)

const entries = rounds(20, 5)

/** A Journal goes there and comes back, from every place that has it. @param isFirst all places in a push too */
async function roundTrip(
  t: Test,
  school: School,
  key: KeyType,
  isFirst: boolean,
  known = (_: Learner) => true,
): Promise<void> {
  const learner = await enrolLearner(t, school, { key, entries, megabytes: entries / 10 })
  await until(() => known(learner), 'the laptop to be known')
  makeOddities(learner.datastore)
  const before = listing(learner.datastore)
  for (const options of [['-a'], ['-a', '-z', '--checksum', '--delete']]) {
    const sent = await rsync(learner, ...options, 'default/datastore/', remote(learner, 'current'))
    t.same(sent, { code: 0, said: '' }, `${key}: ${options.join(' ')}`)
  }
  await quiet(school)
  const [snapshot, ...more] = await school.snapshots(learner.uid)
  t.same(more, [], 'what has not changed makes no snapshot')
  t.equal(snapshot?.entries, entries)
  const places = ['current', 'datastore-current', 'snapshots/latest', `snapshots/${snapshot?.id}`]
  // Which key it was that opened the door matters to no place: with another one a push tries each second place.
  for (const path of places.filter((_, at) => isFirst || isSoak || at % 2 === 0)) {
    const back = join(learner.home, 'back', path)
    const fetched = await rsync(learner, '-a', '--mkpath', `${remote(learner, path)}/`, `${back}/`)
    t.same(fetched, { code: 0, said: '' }, path)
    t.same(unequal(before, listing(back)), [], `${key}: ${path} is what was sent, to the byte`)
  }
  // Beside it changes: the newest is no longer the one that is asked for.
  const changed = await rsync(learner, '-a', '--delete', 'default/datastore/odd/', remote(learner, 'current'))
  t.equal(changed.code, 0)
  await quiet(school)
  const back = join(learner.home, 'back', 'old')
  t.equal(
    (await rsync(learner, '-a', `${remote(learner, `snapshots/${snapshot?.id}`)}/`, `${back}/`)).code,
    0,
  )
  t.same(unequal(before, listing(back)), [], 'and an old snapshot stays what it was')
  const { id } = (await school.snapshots(learner.uid)).at(-1) ?? {}
  t.not(id, snapshot?.id)
  t.equal((await school.ask('verify')).code, 0)
}

t.test("over the server's own ssh, a Journal comes back to the byte", async (t) => {
  if (!canBackUp(t)) return
  const school = await openSchool(t)
  for (const key of ['ed25519', 'dsa'] as const) await roundTrip(t, school, key, key === 'ed25519')
  t.equal((await school.server.stop()).code, 0)
})

/** The keys that an sshd of this machine takes: of an OpenSSH that has no DSA, those of Sugar's next version. */
const keysOfSshd: readonly KeyType[] = ['ed25519', opensshHasDsa ? 'dsa' : 'rsa']

t.test('over an sshd that asks the server for keys, a Journal comes back to the byte', async (t) => {
  if (!canBackUp(t) || !canRunSshd(t)) return
  const [ssh = 0] = await freePorts(1)
  const school = await openSchool(t, { ssh, args: ['--backup-transport', 'sshd'] })
  await startSshd(t, ssh, [
    'AuthorizedKeysFile none',
    `AuthorizedKeysCommand ${installedProgram(t)} backup keys --root ${school.root} %t %k`,
    'AuthorizedKeysCommandUser root',
  ])
  for (const key of keysOfSshd) await roundTrip(t, school, key, key === 'ed25519')
  t.equal((await school.server.stop()).code, 0)
})

t.test('over an sshd with a file of keys, a Journal comes back to the byte', async (t) => {
  if (!canBackUp(t) || !canRunSshd(t)) return
  const [ssh = 0] = await freePorts(1)
  const keys = join(await temporaryDirectory(t), 'authorized_keys')
  const school = await openSchool(t, {
    ssh,
    args: ['--backup-transport', 'sshd', '--backup-authorized-keys', keys],
  })
  await startSshd(t, ssh, [`AuthorizedKeysFile ${keys}`])
  // The file follows the registrations within seconds.
  const isListed = ({ uid }: Learner) => existsSync(keys) && readFileSync(keys, 'utf8').includes(uid)
  await roundTrip(t, school, opensshHasDsa ? 'dsa' : 'rsa', false, isListed)
  if (!opensshHasDsa) {
    const old = await enrolLearner(t, school, { key: 'dsa', entries: 1 })
    await until(() => isListed(old), 'the laptop to be known')
    t.match(await push(old), { code: 255, said: /Permission denied \(publickey\)/ }, 'this sshd has no DSA')
  }
  t.equal(
    (await school.backup('authorized-keys')).out,
    readFileSync(keys, 'utf8'),
    'and is what the command prints',
  )
  t.equal((await school.server.stop()).code, 0)
})
