import { restoreJournal } from '../backup/restore.js'
import { defineCommand } from '../command.js'
import { exitOf } from '../exit.js'
import { digestJournal } from '../journal/digest.js'
import { common, homeDirectory } from '../options.js'
import { report, reportJson } from '../report.js'

export const command = defineCommand({
  summary: 'bring the Journal back from the school server',
  options: {
    server: {
      value: 'HOST[:PORT]',
      help: 'the school server and its httpd-port (default: what registration left)',
    },
    ...common,
    snapshot: { value: 'ID', help: 'the Journal as it was then (default: the latest whole one)' },
    to: { value: 'DIR', help: "where to put it (default: the Journal's own place)" },
  },
  async run({ home, json, server, snapshot, to }, terminal) {
    const restore = await restoreJournal(homeDirectory(home), { server, snapshot, to })
    if (restore.outcome === 'failed') {
      if (json) reportJson(terminal, restore)
      else {
        report(terminal, {
          title: 'The Journal did not come back whole.',
          rsync: `ended with ${restore.code}`,
          because: restore.said,
          'so far': restore.partial,
          advice: 'try again: what has come is not sent twice',
        })
      }
      return exitOf.failed
    }
    const { sha256: digest, files, bytes } = await digestJournal(restore.directory)
    if (json) reportJson(terminal, { ...restore, files, bytes, digest })
    else {
      report(terminal, {
        title: 'The Journal is back.',
        directory: restore.directory,
        files: String(files),
        megabytes: (bytes / 1e6).toFixed(1),
        digest,
        ...(restore.said ? { 'server says': restore.said } : {}),
      })
    }
    return exitOf.restored
  },
})
