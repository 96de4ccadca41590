import { mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { canBackUp, enrolLearner, openSchool, pull, push, quiet } from '../../support/backup/backup-school.js'

t.setTimeout(300_000)

const folders = 3000

t.test(
  'a Journal of thousands of directories goes through, both ways, within the memory of rsync',
  async (t) => {
    if (!canBackUp(t)) return
    const school = await openSchool(t)
    const learner = await enrolLearner(t, school, { entries: 1, megabytes: 0.1 })
    for (let at = 0; at < folders; at += 1) {
      const folder = join(learner.datastore, 'many', String(at % 100), String(at))
      mkdirSync(folder, { recursive: true })
      writeFileSync(join(folder, 'one'), '')
    }
    const sent = await push(learner)
    t.equal(sent.code, 0, sent.said)
    t.equal((await push(learner)).code, 0, 'and once more')
    await quiet(school)
    const to = join(learner.home, 'back')
    const back = await pull(learner, 'current', to)
    t.equal(back.code, 0, back.said)
    t.equal(readdirSync(join(to, 'many'), { recursive: true }).length, 100 + 2 * folders)
  },
)
