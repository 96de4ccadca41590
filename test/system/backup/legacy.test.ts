import { rmSync, writeFileSync } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { backUp, changeJournal, differences, type Inventory, takeInventory } from '../../../sugaroid/index.js'
import {
  canBackUp,
  enrolLearner,
  type Learner,
  openSchool,
  quiet,
  rsync,
  type School,
} from '../../support/backup/backup-school.js'
import { freePorts } from '../../support/free-port.js'
import { temporaryDirectory } from '../../support/temporary-directory.js'

t.setTimeout(300_000)

const parts = [
  ['default/datastore', 'datastore-current'],
  ['power-logs', 'power-logs'],
  ['Documents', 'documents'],
] as const

/** The command lines of the client of OLPC XS. @returns their exit codes and what they said */
async function xsBackup(learner: Learner) {
  const { home, serial } = learner
  const as = {
    ...learner,
    account: { ...learner.account, place: { ...learner.account.place, user: serial } },
  }
  const told = []
  for (const [folder, name] of parts) {
    const options = ['-z', '-rlt', '--partial', '--delete', '--timeout=160']
    told.push(await rsync(as, ...options, `${folder}/`, `${serial}@127.0.0.1:${name}`))
  }
  writeFileSync(join(home, serial), '')
  const completion = `${serial}@127.0.0.1:/var/lib/ds-backup/completion/${serial}`
  told.push(await rsync(as, '-z', '-rlt', '--timeout', '10', '-T', '/tmp', serial, completion))
  return told.map(({ code, said }) => `${code}${said}`)
}

async function makeAside({ home }: Learner): Promise<void> {
  for (const [folder, file] of [
    ['power-logs', 'pwr-1.log'],
    ['Documents', 'letter.txt'],
  ] as const) {
    await mkdir(join(home, folder))
    writeFileSync(join(home, folder, file), `this is ${file}\n`.repeat(100))
  }
}

/** Old laptops send no modes: without -p they are as the server makes them. */
async function withoutModes(folder: string): Promise<Inventory> {
  return new Map(
    [...(await takeInventory(folder))].map(([path, what]) => [path, what.replace(/mode \d+, /, '')]),
  )
}

const ids = async (school: School, { uid }: Learner) => (await school.snapshots(uid)).map(({ id }) => id)

t.test('a laptop of OLPC XS backs up as it always did', async (t) => {
  if (!canBackUp(t)) return
  const school = await openSchool(t)
  const learner = await enrolLearner(t, school, { key: 'dsa', entries: 10, megabytes: 1 })
  await makeAside(learner)
  t.same(await xsBackup(learner), ['0', '0', '0', '0'])
  await quiet(school)
  const first = await ids(school, learner)
  t.equal(first.length, 1, 'one snapshot, of the Journal')
  t.same(await xsBackup(learner), ['0', '0', '0', '0'])
  await quiet(school)
  t.same(await ids(school, learner), first, 'what is unchanged makes none')
  await changeJournal(learner.datastore, { percent: 20 })
  t.same(await xsBackup(learner), ['0', '0', '0', '0'])
  await quiet(school)

  const [, second] = await ids(school, learner)
  const back = join(await temporaryDirectory(t), 'back')
  t.match(await school.ask('restore', learner.serial, '--to', back), { code: 0 })
  t.same(differences(await withoutModes(learner.datastore), await withoutModes(back)), [])
  const aside = join(await temporaryDirectory(t), 'documents')
  t.match(await school.ask('restore', learner.serial, '--documents', '--to', aside), { code: 0 })
  const sent = await withoutModes(join(learner.home, 'Documents'))
  t.same(differences(sent, await withoutModes(aside)), [])
  t.ok(second, 'the documents that came after the Journal are in the next one')
  t.same(await xsBackup(learner), ['0', '0', '0', '0'])
  await quiet(school)
  t.same(await ids(school, learner), [first[0], second], 'what is unchanged makes none')

  writeFileSync(join(learner.datastore, 'version'), '7')
  rmSync(join(learner.home, 'Documents'), { recursive: true })
  t.match(await backUp(learner.home, { legacy: true }), {
    outcome: 'sent',
    parts: ['datastore-current', 'power-logs'],
    missing: 'Documents',
  })
  await quiet(school)
  t.equal((await ids(school, learner)).length, 3, 'also without the marker')
})

t.test('the old question is answered on a port of its own, and where new laptops ask', async (t) => {
  if (!canBackUp(t)) return
  const [xs = 0] = await freePorts(1)
  const school = await openSchool(t, { args: ['--backup-xs-port', String(xs), '--backup-slots', '1'] })
  const learner = await enrolLearner(t, school, { entries: 2 })
  const other = await enrolLearner(t, school, { entries: 2 })
  const ask = async (port: number, path: string) => {
    const reply = await fetch(`http://127.0.0.1:${port}/backup/${path}`)
    return {
      status: reply.status,
      later: Number(reply.headers.get('retry-after') ?? 0),
      text: await reply.text(),
    }
  }
  const { uuid } = learner.account
  for (const path of [
    `1/available/${learner.serial}`,
    `uuid/available/${uuid}`,
    `uuid/available/${learner.uid}`,
  ]) {
    for (const port of [xs, school.ports.http])
      t.same(await ask(port, path), { status: 200, later: 0, text: '' }, `${port}: ${path}`)
  }
  const busy = await ask(xs, `1/available/${other.serial}`)
  t.equal(busy.status, 503, 'the slot is kept for the first one')
  t.ok(busy.later >= 10)
  t.match(busy.text, /busy/)
  for (const path of ['1/available/SHC99999999', 'uuid/available/00000000-0000-4000-8000-00000000ffff'])
    t.match(await ask(xs, path), { status: 404, text: /not registered/ })
  for (const path of [
    '1/available/..',
    '1/available/a%20b',
    'uuid/available/SHC00000001',
    `uuid/available/${uuid}?journal=1`,
  ])
    t.match(await ask(school.ports.http, path), { status: path.includes('..') ? 404 : 400 }, path)
  t.equal((await ask(xs, 'uuid/available/')).status, 404)
  t.equal((await fetch(`http://127.0.0.1:${xs}/health`)).status, 404, 'the port has nothing else')

  t.match(await backUp(learner.home), { outcome: 'sent' })
  await quiet(school)
  t.same(await backUp(learner.home), { outcome: 'unchanged' })
  t.equal((await school.server.stop()).code, 0)
})
