import { defineCommand } from '../command.js'
import { UsageError } from '../errors.js'
import { exitOf } from '../exit.js'
import { type KeyType, keyTypes } from '../keys.js'
import { type Attempt, ports, registerLaptop } from '../laptop.js'
import { common, homeDirectory } from '../options.js'
import { report, reportJson } from '../report.js'
import { authority, parseServer } from '../server.js'
import type { Terminal } from '../terminal.js'

function keyType(text: string | undefined): KeyType | undefined {
  const type = keyTypes.find((known) => known === text)
  if (text !== undefined && !type) {
    throw new UsageError(`unknown type of key '${text}'`, `write one of ${keyTypes.join(', ')}`)
  }
  return type
}

function advice({ server, result }: Attempt): string | undefined {
  const { host, port } = server
  switch (result.outcome) {
    case 'registered':
      return undefined
    case 'refused':
      return "the reason is the server's own; look into its log for more"
    case 'unreachable':
      return `check that the school server runs, that '${host}' is its name and ${port} its port (--server)`
    case 'broken':
      return 'Sugar dies of such an answer and shows nothing; mend the server'
  }
}

function print(attempt: Attempt, terminal: Terminal): void {
  const { identity, server, result } = attempt
  report(terminal, {
    title: result.message ?? '(the child sees nothing)',
    server: authority(server),
    nickname: identity.nickname,
    serial: identity.serial,
    uuid: identity.uuid,
    uid: identity.uid,
    ...('jabberserver' in result ? { jabberserver: result.jabberserver } : {}),
    ...('backupurl' in result ? { backupurl: result.backupurl } : {}),
    ...('error' in result ? { 'server says': result.error } : {}),
    ...('cause' in result ? { because: result.cause.message } : {}),
    advice: advice(attempt),
  })
}

export const command = defineCommand({
  summary: 'register with a school server, as a click on "Register" in Sugar does',
  options: {
    server: { value: 'HOST[:PORT]', help: "the school server (default: where Sugar's settings point to)" },
    ...common,
    nick: { value: 'NAME', help: 'the nickname; kept' },
    key: {
      value: 'TYPE',
      help: `which key to make: ${keyTypes.join(', ')} (default: dsa; rsa where ssh has no DSA)`,
    },
    xo: { help: 'be an XO: keep serial and uuid; other machines make up new ones each time' },
    serial: { value: 'SN', help: "the XO's serial; implies --xo" },
    uuid: { value: 'UUID', help: "the XO's uuid; implies --xo" },
    rest: {
      help: `use the JSON interface (default port ${ports.rest}) in place of XML-RPC (${ports.xmlrpc})`,
    },
  },
  async run(given, terminal) {
    const { json, nick, xo, serial, uuid, rest } = given
    const server =
      given.server === undefined ? undefined : parseServer(given.server, rest ? ports.rest : ports.xmlrpc)
    const key = keyType(given.key)
    const attempt = await registerLaptop(homeDirectory(given.home), {
      server,
      nick,
      key,
      xo,
      serial,
      uuid,
      rest,
    })
    if (json) reportJson(terminal, { server: attempt.server, identity: attempt.identity, ...attempt.result })
    else print(attempt, terminal)
    return exitOf[attempt.result.outcome]
  },
})
