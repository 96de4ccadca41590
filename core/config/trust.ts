import { realpathSync, type Stats, statSync } from 'node:fs'
import { dirname } from 'node:path'
import { ConfigError } from '../errors.js'

const distrust = (message: string, hint: string): ConfigError =>
  new ConfigError('CONFIG_UNREADABLE', message, { hint })

const sticky = 0o1000
const byOthers = 0o022

/**
 * Settings name code that will run, and plugins are that code: nobody but this user and root may be able to change
 * the file, nor put another in its place. Of a plugin only the file that is named is looked at, and the directories
 * it lies in; what it imports from there is protected by them.
 * @throws ConfigError that says how to protect it
 */
export function mustBeTrusted(file: string, stats: Stats = statSync(file)): void {
  const me = process.geteuid?.() ?? stats.uid
  const isOurs = ({ uid }: Stats) => uid === 0 || uid === me
  if (!isOurs(stats))
    throw distrust(`${file} belongs to another user`, `give it to this user: chown ${me} ${file}`)
  if ((stats.mode & byOthers) !== 0) {
    throw distrust(`${file} can be written by other users`, `protect it: chmod go-w ${file}`)
  }
  for (let folder = dirname(realpathSync(file)); ; folder = dirname(folder)) {
    const around = statSync(folder)
    const isOpen = (around.mode & byOthers) !== 0 && (around.mode & sticky) === 0
    if (isOpen || !isOurs(around)) {
      const hint = isOpen
        ? `protect its directory: chmod go-w ${folder}`
        : `give its directory to this user: chown ${me} ${folder}`
      throw distrust(`${file} can be replaced by other users`, hint)
    }
    if (folder === dirname(folder)) return
  }
}
