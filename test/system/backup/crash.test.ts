import t from 'tap'
import { canBackUp, openSchool } from '../../support/backup/backup-school.js'
import { kept, Survival } from '../../support/backup/survival.js'

t.setTimeout(600_000)

const seed = Date.now() % 1_000_000

t.test('whoever is killed at whatever moment, what a laptop was told is safe is there', async (t) => {
  if (!canBackUp(t)) return
  const school = await openSchool(t, {
    args: ['--backup-keep-last', String(kept), '--backup-keep-daily', '0'],
  })
  const victims = ['server', 'rsync', 'ssh', 'archive'] as const
  await new Survival(t, school, { victims, kills: 60, between: 20, seed }).run()
})
