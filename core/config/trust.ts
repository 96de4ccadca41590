import { type Stats, statSync } from 'node:fs'
import { dirname } from 'node:path'
import { ConfigError } from '../errors.js'

const distrust = (message: string, hint: string): ConfigError =>
  new ConfigError('CONFIG_UNREADABLE', message, { hint })

const sticky = 0o1000

/**
 * Settings name code that will run, and plugins are that code: nobody but this user and root may be able to change
 * the file, nor put another in its place.
 * @throws ConfigError that says how to protect it
 */
export function mustBeTrusted(file: string, { mode, uid }: Stats = statSync(file)): void {
  const me = process.getuid?.() ?? uid
  if (uid !== 0 && uid !== me) {
    throw distrust(`${file} belongs to another user`, `give it to this user: chown ${me} ${file}`)
  }
  if ((mode & 0o022) !== 0) {
    throw distrust(`${file} can be written by other users`, `protect it: chmod go-w ${file}`)
  }
  const folder = dirname(file)
  const { mode: around } = statSync(folder)
  if ((around & 0o002) !== 0 && (around & sticky) === 0) {
    throw distrust(`${file} can be replaced by other users`, `protect its directory: chmod o-w ${folder}`)
  }
}
