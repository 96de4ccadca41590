import t from 'tap'
import { canBackUp, openSchool } from '../../support/backup/backup-school.js'
import { kept, Survival } from '../../support/backup/survival.js'
import { canRunSshd, installedProgram, startSshd } from '../../support/backup/system-sshd.js'
import { freePorts } from '../../support/free-port.js'
import { rounds, seed } from '../../support/rounds.js'

t.setTimeout(600_000)

t.test('over sshd too, whoever is killed, what a laptop was told is safe is there', async (t) => {
  if (!canBackUp(t) || !canRunSshd(t)) return
  const [ssh = 0] = await freePorts(1)
  const keep = ['--backup-keep-last', String(kept), '--backup-keep-daily', '0']
  const school = await openSchool(t, { ssh, args: ['--backup-transport', 'sshd', ...keep] })
  await startSshd(t, ssh, [
    'AuthorizedKeysFile none',
    `AuthorizedKeysCommand ${installedProgram(t)} backup keys --root ${school.root} %t %k`,
    'AuthorizedKeysCommandUser root',
  ])
  const victims = ['server', 'rsync', 'door', 'ssh', 'archive'] as const
  await new Survival(t, school, { victims, kills: rounds(40, 12), between: rounds(20, 6), seed }).run()
})
