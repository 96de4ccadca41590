import { type Backup, backUp } from '../backup/backup.js'
import { defineCommand } from '../command.js'
import { exitOf } from '../exit.js'
import { common, homeDirectory, numberOption } from '../options.js'
import { type Report, report, reportJson } from '../report.js'

function describe(backup: Backup): Report {
  switch (backup.outcome) {
    case 'sent':
      return {
        title: 'The Journal is on the school server.',
        sent: backup.parts.join(', '),
        'server says': backup.said || undefined,
        advice:
          backup.missing &&
          `stopped there, as the old client does: the home has no directory ${backup.missing}`,
      }
    case 'unchanged':
      return { title: 'The school server has this Journal already.' }
    case 'busy':
      return {
        title: 'The school server is too busy.',
        waited: `${backup.waited} s`,
        'come back in': backup.seconds === undefined ? undefined : `${backup.seconds} s`,
        advice: 'try again later, or wait longer with --patience',
      }
    case 'refused':
      return {
        title: 'The school server does not take this backup.',
        status: String(backup.status),
        'server says': backup.text,
        advice: 'check that it is registered there, and that --server is its httpd-port',
      }
    case 'failed':
      return {
        title: 'The transfer failed; what came through is used by the next one.',
        rsync: `ended with ${backup.code}`,
        because: backup.said,
        advice: 'try again; when ssh is refused, look into the log of the server',
      }
    default:
      return {
        title: 'The school server does not say whether it takes a backup.',
        because: backup.cause.message,
        advice: 'check that the school server runs, and that --server is its httpd-port',
      }
  }
}

export const command = defineCommand({
  summary: 'back up the Journal to the school server, as Sugar does',
  options: {
    server: {
      value: 'HOST[:PORT]',
      help: 'the school server and its httpd-port (default: what registration left)',
    },
    ...common,
    legacy: { help: 'behave as the client of OLPC XS: ask by serial, send its three parts and its marker' },
    'no-digest': { help: 'do not tell the digest of the Journal, so that it is sent even when unchanged' },
    patience: { value: 'SECONDS', help: 'how long to wait altogether for a busy server (default: 600)' },
  },
  async run(given, terminal) {
    const { json, legacy, server } = given
    const patience =
      given.patience === undefined
        ? undefined
        : numberOption('patience', given.patience, { least: 0, most: 86_400 })
    const say = json ? terminal.warn : terminal.print
    const backup = await backUp(homeDirectory(given.home), {
      server,
      legacy,
      digest: !given['no-digest'],
      patience,
      waiting: (seconds) => say(`The school server is busy: waiting ${seconds} s`),
    })
    if (json) reportJson(terminal, backup)
    else report(terminal, describe(backup))
    return exitOf[backup.outcome]
  },
})
