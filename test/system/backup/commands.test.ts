import { spawnSync } from 'node:child_process'
import { chmodSync, existsSync, readFileSync, statSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import {
  backUp,
  changeJournal,
  differences,
  entryPath,
  listEntries,
  takeInventory,
  wipeJournal,
} from '../../../sugaroid/index.js'
import {
  canBackUp,
  enrolLearner,
  type Learner,
  openSchool,
  pull,
  push,
  quiet,
  type School,
  sharedSchool,
} from '../../support/backup/backup-school.js'
import { temporaryDirectory } from '../../support/temporary-directory.js'

t.setTimeout(300_000)

const args = ['last', 'daily', 'weekly', 'monthly'].flatMap((rule) => [
  `--backup-keep-${rule}`,
  rule === 'last' ? '1' : '0',
])

const openShared = sharedSchool({ args })

/** A learner who has two snapshots of a Journal. */
async function learnerWithTwo(t: Test, school: School): Promise<{ learner: Learner; ids: string[] }> {
  const learner = await enrolLearner(t, school, { nick: 'Añe', entries: 20, megabytes: 1 })
  t.equal((await push(learner)).code, 0)
  await quiet(school)
  await changeJournal(learner.datastore, { percent: 10 })
  t.equal((await push(learner)).code, 0)
  await quiet(school)
  return { learner, ids: (await school.snapshots(learner.uid)).map(({ id }) => id) }
}

t.test('an operator sees, restores, holds and prunes', async (t) => {
  if (!canBackUp(t)) return
  const school = await openSchool(t, { args })
  const { learner, ids } = await learnerWithTwo(t, school)
  const { uid, serial } = learner
  const [old = '', newest = ''] = ids
  const place = await temporaryDirectory(t)
  const told = async (...words: string[]) => {
    const { code, out, err } = await school.say(...words)
    t.equal(code, 0, `${words[0]}: ${err}`)
    return `${out}${err}`
  }
  const json = async (...words: string[]) => JSON.parse((await school.say(...words, '--json')).out) as unknown

  t.match(
    await told('list'),
    new RegExp(
      `^UID +NICKNAME +SERIALS +LAST GOOD +SNAPSHOTS +SIZE +FLAGS\\n${uid.slice(0, 12)} +Añe +${serial} +under an hour +2 `,
    ),
  )
  t.match(await json('list'), [
    { uid, nickname: 'Añe', serials: [serial], snapshots: 2, flags: [], lastGood: /^2/ },
  ])
  for (const who of [uid, uid.slice(0, 6), serial, serial.toLowerCase(), learner.account.uuid])
    t.match(await told('snapshots', who), new RegExp(`${old} [^]*${newest} `))
  t.match(await json('snapshots', uid), [{ id: old, entries: 20 }, { id: newest }])

  const [entry = ''] = await listEntries(learner.datastore)
  t.match(await told('entries', uid), new RegExp(`^UID +TITLE [^]*${entry} [^]*snapshot ${newest} of ${uid}`))
  const all = (await json('entries', uid)) as { uid: string; title: string }[]
  t.same(all.map((one) => one.uid).sort(), await listEntries(learner.datastore))
  const title = all.find((one) => one.uid === entry)?.title ?? ''
  const found = (await json('entries', uid, '--search', title)) as { uid: string }[]
  t.ok(
    found.some((one) => one.uid === entry),
    `"${title}" is found`,
  )
  t.match(await told('entries', uid, '--at', old), `snapshot ${old} of`)
  t.same(await json('entries', uid, '--search', 'xyzzy-nowhere'), [])

  t.match(
    await told('restore', uid, '--to', join(place, 'all')),
    new RegExp(`all: \\d+ files, .* of snapshot ${newest}`),
  )
  t.same(differences(await takeInventory(learner.datastore), await takeInventory(join(place, 'all'))), [])
  await told('restore', uid, '--entry', entry, '--to', join(place, 'one'))
  t.same(
    [...(await takeInventory(join(place, 'one'))).keys()].filter(
      (path) => path.length > 3 && !path.startsWith(`${entry.slice(0, 2)}/${entry}`),
    ),
    [],
  )
  await told('restore', uid, '--entry', entry, '--to', join(place, 'one.xoj'))
  t.equal(readFileSync(join(place, 'one.xoj')).toString('latin1', 0, 2), 'PK')
  await told('restore', uid, '--at', old, '--to', join(place, 'all.xob'))
  const tar = spawnSync('tar', ['-tzf', join(place, 'all.xob')], { encoding: 'utf8' })
  t.match(tar.stdout, /^home\/olpc\/\.sugar\/default\/datastore\//m)

  t.match(
    await told('hold', uid, '--at', old, '--reason', 'for the exhibition'),
    `snapshot ${old} of ${uid} is on hold`,
  )
  t.match(await told('snapshots', uid), /for the exhibition/)
  t.match(await json('prune', '--dry-run'), [
    { id: old, keep: true, reasons: ['on hold: for the exhibition'] },
    { id: newest, keep: true },
  ])
  const kept = await told('release', uid)
  t.match(kept, /^the brake holds nothing of /, "what was meant is the brake's affair")
  t.match(kept, `still on hold: ${old}; "backup release ${uid} --at ${old}" ends that`)
  t.match(await told('release', uid, '--at', old), `released ${old}`)
  t.match(await told('release', uid, '--at', old), /nothing of .* was on hold/)
  t.match(
    await told('prune', '--dry-run'),
    new RegExp(`${old} .* remove +no rule keeps it[^]*1 of 2 snapshots would be removed`),
  )
  t.equal((await school.snapshots(uid)).length, 2)
  t.match(await told('prune'), /1 of 2 snapshots removed, .* freed/)
  t.match(await json('snapshots', uid), [{ id: newest }])
  t.match(await told('verify'), /^1 snapshots, \d+ objects, .*: all as they were written/)
  t.match(await json('verify'), { snapshots: 1, damage: [] })
  t.match(await told('drill', '1'), new RegExp(`${newest} +\\d+ +as it was`))
  t.match(await json('drill'), [{ uid, snapshot: newest, wrong: [] }])
  const { keyName, pubkey } = learner.account.identity
  t.match(
    await told('authorized-keys'),
    new RegExp(
      `^restrict,command="\\S+ backup door --root \\S+ ${uid}" ${keyName} ${pubkey.replaceAll('+', '\\+')}`,
    ),
  )
  t.equal((await school.server.stop()).code, 0)
  t.match(await told('list'), /Añe/, 'also when no server runs')
  t.match(await told('restore', serial, '--to', join(place, 'again')), newest)
})

t.test('a command that cannot be done says why, and what to do', async (t) => {
  if (!canBackUp(t)) return
  const school = await openShared()
  const { learner } = await learnerWithTwo(t, school)
  const { uid } = learner
  const place = await temporaryDirectory(t)
  const full = join(place, 'full')
  spawnSync('mkdir', ['-p', join(full, 'something')])
  writeFileSync(join(place, 'a file'), '')
  writeFileSync(join(place, 'there.xob'), '')
  const [entry = ''] = await listEntries(learner.datastore)
  const wrong: [words: string[], code: number, message: RegExp][] = [
    [['snapshots', 'nobody'], 66, /nobody is known as nobody.*\n.*backup list/],
    [['restore', uid], 64, /restore needs --to.*\n.*a new directory/],
    [
      ['restore', uid, '--at', 'yesterday', '--to', join(place, 'x')],
      64,
      /neither a snapshot nor a date.*\n.*2026-11-20/,
    ],
    [
      ['restore', uid, '--at', '2001-01-01', '--to', join(place, 'x')],
      66,
      /there is no snapshot of 2001-01-01 or before.*\n.*the oldest is/,
    ],
    [['restore', uid, '--to', full], 77, /full is there already.*\n.*not there yet/],
    [['restore', uid, '--to', join(place, 'a file')], 77, /is there already.*\n.*nothing is overwritten/],
    [['restore', uid, '--to', join(place, 'there.xob')], 77, /is there already.*\n.*nothing is overwritten/],
    [['restore', uid, '--to', join(place, 'x.xoj')], 64, /one entry.*\n.*--entry/],
    [['restore', uid, '--entry', entry, '--to', join(place, 'x.xob')], 64, /whole Journal.*\n.*\.xoj/],
    [
      ['restore', uid, '--entry', 'none', '--to', join(place, 'x')],
      66,
      /there is no entry none.*\n.*backup entries/,
    ],
    [['entries', uid, '--at', '2099-99-99'], 64, /neither a snapshot nor a date/],
    [['hold', uid, '--at', 'x'], 64, /neither a snapshot nor a date/],
    [['import-xs', join(place, 'nowhere')], 66, /cannot be read \(ENOENT\)/],
    [['drill', 'many'], 64, /"many" is no number of Journals.*\n.*1 or more/],
    [['drill', '0'], 64, /"0" is no number of Journals/],
  ]
  for (const [words, code, message] of wrong) {
    const got = await school.say(...words)
    t.match(got, { code, err: message }, words.join(' '))
  }
  t.equal(statSync(join(place, 'there.xob')).size, 0)
})

t.test(
  'a live file that rotted is removed by a repair, and sent anew; till then nobody is told that it is there',
  async (t) => {
    if (!canBackUp(t)) return
    const school = await openShared()
    const learner = await enrolLearner(t, school, { entries: 8 })
    const { uid } = learner
    const [entry = ''] = await listEntries(learner.datastore)
    const noise = spawnSync('head', ['-c', '100000', '/dev/urandom']).stdout
    writeFileSync(join(entryPath(learner.datastore, entry), 'data'), noise)
    t.match(await backUp(learner.home), { outcome: 'sent' })
    await quiet(school)
    t.match(await backUp(learner.home), { outcome: 'unchanged' })

    const live = join(entryPath(join(school.archive, 'live', uid, 'datastore-current'), entry), 'data')
    const { atime, mtime, mode } = statSync(live)
    chmodSync(live, 0o600)
    writeFileSync(live, Buffer.concat([noise.subarray(1), noise.subarray(0, 1)]), { flag: 'r+' })
    chmodSync(live, mode)
    utimesSync(live, atime, mtime)
    t.match(await school.say('verify', '--repair'), { code: 65, out: /data: .*is missing/ })
    t.notOk(existsSync(live))
    t.not(
      (await pull(learner, 'snapshots/latest', 'fetched')).code,
      0,
      'what is not whole does not pass for it',
    )
    t.match(await backUp(learner.home), { outcome: 'sent' })
    await quiet(school)
    t.ok(readFileSync(live).equals(noise))
    t.match(await school.say('verify'), { code: 0 }, 'and with that the snapshots have it as well')
    t.equal((await pull(learner, 'snapshots/latest', 'fetched')).code, 0)
  },
)

t.test("an operator's hold on what the brake holds changes nothing of what a restore gives", async (t) => {
  if (!canBackUp(t)) return
  const school = await openShared()
  const { learner, ids } = await learnerWithTwo(t, school)
  const { uid, datastore } = learner
  const [, whole = ''] = ids
  const place = await temporaryDirectory(t)
  await wipeJournal(datastore)
  t.equal((await push(learner)).code, 0)
  await quiet(school)
  t.match(await school.say('hold', uid, '--at', whole, '--reason', 'for the parents'), { code: 0 })
  const to = join(place, 'all')
  t.match(await school.say('restore', uid, '--to', to), {
    code: 0,
    out: new RegExp(`of snapshot ${whole}`),
  })
  t.match((await school.snapshots(uid)).slice(1), [
    { id: whole, why: /entries were gone.*; for the parents/ },
    {},
  ])
  t.match(await school.say('release', uid), {
    code: 0,
    out: new RegExp(`^released ${whole} of [^]*still on hold: ${whole};`),
  })
  t.match((await school.snapshots(uid)).slice(1), [{ id: whole, why: 'for the parents' }, {}])
  t.match(
    (await school.list()).filter((one) => one.uid === uid),
    [{ uid, flags: [] }],
  )
  t.equal((await school.server.stop()).code, 0)
})
