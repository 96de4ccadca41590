/**
 * Stands for ssh and the server in one: rsync's client runs it with `-e`. It reads the command as the server does and
 * runs rsync in the directory of the learner, which is in HOME_OF_LEARNER.
 */
import { spawnSync } from 'node:child_process'
import { RequestError } from '../../../core/api.js'
import { serverArguments } from '../../../plugins/backup/rsync/arguments.js'
import { parseCommand } from '../../../plugins/backup/rsync/command.js'

const home = process.env.HOME_OF_LEARNER ?? ''
const words = process.argv.slice(2)
const text = words.slice(words[0] === '-l' ? 3 : 1).join(' ')
try {
  const args = serverArguments(parseCommand(text), { temporary: `${home}/temporary`, log: `${home}/log` })
  const { status } = spawnSync('rsync', args, { cwd: `${home}/tree`, stdio: 'inherit' })
  process.exitCode = status ?? 1
} catch (error) {
  if (!(error instanceof RequestError)) throw error
  process.stderr.write(`sugar-server: ${error.message}\n`)
  process.exitCode = error.exitCode
}
