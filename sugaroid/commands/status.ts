import { defineCommand } from '../command.js'
import { exitOf } from '../exit.js'
import { openIdentity } from '../identity.js'
import { ports } from '../laptop.js'
import { common, homeDirectory } from '../options.js'
import { report, reportJson } from '../report.js'
import { type Status, statusOf } from '../rest.js'
import { authority, parseServer } from '../server.js'
import { readSettings, schoolServer } from '../settings.js'
import type { Value } from '../xmlrpc.js'

function title(status: Status): string {
  if (status.outcome !== 'answered') return status.message ?? 'The answer makes no sense.'
  return status.registered ? 'The server knows this learner.' : 'The server does not know this learner.'
}

function text(value: Value | undefined): string | undefined {
  return value === undefined || typeof value === 'string' ? value : JSON.stringify(value)
}

function facts(status: Status) {
  switch (status.outcome) {
    case 'answered': {
      const { 'jabber-url': jabber, 'backup-url': backup, stamp } = status.reply
      return { 'jabber-url': text(jabber), 'backup-url': text(backup), stamp: text(stamp) }
    }
    case 'refused':
      return { 'server says': status.error }
    default:
      return {
        because: status.cause.message,
        advice: 'check --server: the JSON interface listens on httpd-port',
      }
  }
}

export const command = defineCommand({
  summary: 'ask a school server whether it knows this learner',
  options: {
    server: { value: 'HOST[:PORT]', help: "the school server (default: where Sugar's settings point to)" },
    ...common,
  },
  async run(given, terminal) {
    const home = homeDirectory(given.home)
    const { uid } = await openIdentity(home)
    const server =
      given.server === undefined
        ? schoolServer(await readSettings(home), ports.rest)
        : parseServer(given.server, ports.rest)
    const status = await statusOf(uid, { server })
    if (given.json) reportJson(terminal, { server, uid, ...status })
    else report(terminal, { title: title(status), server: authority(server), uid, ...facts(status) })
    return exitOf[status.outcome]
  },
})
