import { join } from 'node:path'
import { defineCommand } from '../command.js'
import { exit } from '../exit.js'
import { common, homeDirectory } from '../options.js'
import { type Report, report, reportJson } from '../report.js'
import { authority, parseServer } from '../server.js'
import type { Progress } from '../upgrade/fetching.js'
import { type Upgrade, upgrade, upgradePort } from '../upgrade/upgrade.js'

const exits = {
  upgraded: exit.OK,
  refused: exit.NOPERM,
  busy: exit.TEMPFAIL,
  failed: exit.UNAVAILABLE,
  differs: exit.PROTOCOL,
} as const

const steps = {
  contents: 'Fetching the manifest; a server that has to fetch the build itself takes minutes.',
  root: 'Fetching the tree.',
  comparison: 'Comparing all of it with the server.',
} as const

function describe(build: string, result: Upgrade): Report {
  switch (result.outcome) {
    case 'upgraded':
      return {
        title: `The build ${build} is here, and is what the server has.`,
        directory: result.directory,
        megabytes: (result.bytes / 1e6).toFixed(1),
      }
    case 'busy':
      return {
        title: 'The server has no build for this laptop yet.',
        'server says': result.said,
        advice: 'try again when it says',
      }
    case 'refused':
      return {
        title: 'The server does not give the build.',
        'server says': result.said,
        advice: 'check the name of the build',
      }
    case 'failed':
      return {
        title: 'The build did not come whole.',
        rsync: `ended with ${result.code}`,
        because: result.said,
        'so far': result.directory,
        advice: 'check --server, and try again: what has come is not sent twice',
      }
    case 'differs':
      return {
        title: 'What has come is not what the server has.',
        directory: result.directory,
        differences: String(result.differences.length),
        first: result.differences[0],
        advice:
          'try again; if that does not help, look at the file system: it must keep owners and attributes',
      }
  }
}

/** Milliseconds between two lines of progress. */
const between = 2000

export const command = defineCommand({
  summary: 'fetch a build of the operating system, as a laptop does that upgrades itself',
  operand: 'BUILD',
  options: {
    server: { value: 'HOST[:PORT]', help: `the school server (default: schoolserver, port ${upgradePort})` },
    ...common,
    to: { value: 'DIR', help: 'where to put it (default: builds/BUILD in the home)' },
  },
  async run({ home, json, server: where, to }, terminal, build) {
    const server = parseServer(where ?? 'schoolserver', upgradePort)
    const say = json ? terminal.warn : terminal.print
    let told = 0
    const progress = ({ bytes, percent }: Progress) => {
      if (Date.now() - told < between) return
      told = Date.now()
      say(`  ${percent} %, ${(bytes / 1e6).toFixed(1)} MB`)
    }
    const result = await upgrade(build, {
      server,
      to: to ?? join(homeDirectory(home), 'builds', build),
      listed: (isListed) =>
        say(`${authority(server)} ${isListed ? 'lists' : 'does not list'} build-${build}.`),
      begun: (what) => say(steps[what]),
      progress,
    })
    if (json) reportJson(terminal, { server, build, ...result })
    else report(terminal, describe(build, result))
    return exits[result.outcome]
  },
})
