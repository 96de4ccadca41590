import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { farewell, laptopsDay, leaveServer, openAccount, registerLaptop } from '../../../sugaroid/index.js'
import {
  canBackUp,
  enrolLearner,
  push,
  quiet,
  type School,
  sharedSchool,
} from '../../support/backup/backup-school.js'
import { cli, run, until } from '../../support/core/server-process.js'
import { serverAt } from '../../support/sugaroid/registrants.js'
import { temporaryDirectory } from '../../support/temporary-directory.js'

t.setTimeout(300_000)

const sugaroidProgram = fileURLToPath(new URL('../../../sugaroid/bin/sugaroid.js', import.meta.url))

const openShared = sharedSchool()

/** The process that keeps the archive. */
async function archivist({ server }: School): Promise<number> {
  const isIt = (pid: string) => {
    try {
      const [, parent] = /^PPid:\s*(\d+)$/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1')) ?? []
      return (
        Number(parent) === server.child.pid &&
        readFileSync(`/proc/${pid}/cmdline`, 'latin1').includes('/archive/process.js')
      )
    } catch {
      return false
    }
  }
  const find = () => readdirSync('/proc').find((name) => /^\d+$/.test(name) && isIt(name))
  await until(() => find() !== undefined, 'the archive to be at work')
  return Number(find())
}

t.test('a demonstration waits for the snapshot, however long it takes, and says so', async (t) => {
  if (!canBackUp(t)) return
  const school = await openShared()
  const server = serverAt(`http://127.0.0.1:${school.ports.id}`)
  const home = await temporaryDirectory(t)
  let said = 0
  let stopped = 0
  const settling = () => {
    said += 1
    process.kill(stopped, 'SIGCONT')
  }
  const told: string[] = []
  for (const { name, run } of laptopsDay(home, { server, entries: 10, settling })) {
    // From here on no snapshot comes to its end until the laptop has asked in vain.
    if (name === 'a day at school') {
      await quiet(school)
      stopped = await archivist(school)
      process.kill(stopped, 'SIGSTOP')
    }
    told.push(`${name}: ${await run()}`)
  }
  t.equal(said, 1)
  t.match(
    told.find((line) => line.startsWith('back up again')),
    /not sent: the server has it already/,
  )
  t.match(told.at(-1), /^compare: \d+ names, contents, modes and times are equal$/)

  await farewell(home, server).run()
  t.same(await school.list(), [])
})

t.test('a demonstration leaves nothing, and takes nothing of others away', async (t) => {
  if (!canBackUp(t)) return
  const school = await openShared()
  const child = await enrolLearner(t, school, { entries: 5 })
  await push(child)
  await quiet(school)
  const kept = await school.snapshots(child.uid)
  const tmp = await temporaryDirectory(t)
  const demo = (...words: string[]) =>
    run(
      t,
      [
        process.execPath,
        sugaroidProgram,
        'demo',
        '--server',
        `127.0.0.1:${school.ports.id}`,
        '--entries',
        '10',
        ...words,
      ],
      {
        env: { TMPDIR: tmp },
      },
    )
  const { code, out, err } = await demo()
  t.equal(code, 0, out + err)
  t.match(out, /^leave +the server has nothing of this learner any more .*\nAll that was lost is back\.\n$/m)
  t.same(readdirSync(tmp), [], 'nor does the laptop leave files')
  await quiet(school)
  const listed = async () => (await school.list()).map(({ uid }) => uid)
  t.same(await listed(), [child.uid])
  for (const folder of ['live', 'snapshots', 'marks', 'scratch'])
    t.same(
      readdirSync(join(school.archive, folder)).filter((name) => name !== child.uid),
      [],
      folder,
    )
  t.same(await school.snapshots(child.uid), kept)
  t.equal((await school.ask('verify')).code, 0)
  t.equal((await push(child)).code, 0)

  const after = await demo('--keep')
  t.equal(after.code, 0, after.err)
  const [, home = ''] = /The laptop's home is (\S+); its learner stays registered\./.exec(after.out) ?? []
  t.ok(existsSync(join(home, 'default/owner.key')))
  const { identity, uuid } = await openAccount(home)
  t.ok((await listed()).includes(identity.uid))
  t.match(
    (await cli(t, ['id', 'list', '--root', school.root])).out,
    new RegExp(`${identity.uid.slice(0, 6)}.* demo$`, 'm'),
  )

  // Who is no demonstration, or does not know its secret, takes nothing away.
  const http = { host: '127.0.0.1', port: school.ports.http }
  const wrong = '00000000-0000-4000-8000-000000000000'
  const { account } = child
  t.match(await leaveServer(http, identity.uid, wrong), { outcome: 'refused', error: /not registered/ })
  t.match(await leaveServer(http, child.uid, account.uuid), {
    outcome: 'refused',
    error: /only the learner of a demonstration/,
  })
  t.match(await leaveServer(http, 'x', uuid), { outcome: 'refused', error: /40 hex digits/ })
  // Somebody who knows a child's public key registers it as a demonstration, as often as it takes to hide the child's.
  const server = serverAt(`http://127.0.0.1:${school.ports.id}`)
  for (let turn = 0; turn < 20; turn += 1) {
    const serial = `DEMO0000${turn.toString(16).toUpperCase().padStart(4, '0')}`
    await registerLaptop(child.home, { server, serial, uuid: wrong })
  }
  t.match(await leaveServer(http, child.uid, wrong), {
    outcome: 'refused',
    error: /only the learner of a demonstration/,
  })
  // A demonstration whose key comes with a laptop's serial is a child's from then on.
  await registerLaptop(home, { server, serial: 'SHC0000CAFE', uuid })
  t.match(await leaveServer(http, identity.uid, uuid), {
    outcome: 'refused',
    error: /only the learner of a demonstration/,
  })
  t.same((await listed()).sort(), [child.uid, identity.uid].sort())
  t.equal((await school.server.stop()).code, 0)
})
