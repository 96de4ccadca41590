import t from 'tap'
import { canBackUp, openSchool } from '../../support/backup/backup-school.js'
import { kept, Survival } from '../../support/backup/survival.js'
import { rounds, seed } from '../../support/rounds.js'

t.setTimeout(600_000)

t.test('whoever is killed at whatever moment, what a laptop was told is safe is there', async (t) => {
  if (!canBackUp(t)) return
  const school = await openSchool(t, {
    args: ['--backup-keep-last', String(kept), '--backup-keep-daily', '0'],
  })
  const victims = ['server', 'rsync', 'ssh', 'archive'] as const
  await new Survival(t, school, { victims, kills: rounds(60, 12), between: rounds(20, 6), seed }).run()
})
