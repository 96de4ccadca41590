import { join } from 'node:path'
import { defineCommand } from '../command.js'
import { exit } from '../exit.js'
import { common, homeDirectory } from '../options.js'
import { type Report, report, reportJson } from '../report.js'
import { authority, parseServer } from '../server.js'
import { Commentary } from '../upgrade/commentary.js'
import { type Upgrade, upgrade, upgradePort } from '../upgrade/upgrade.js'

/** 128 and the number of the signal that interrupts, as shells have it. */
const signals = { SIGHUP: 129, SIGINT: 130, SIGTERM: 143 } as const
type Interrupt = keyof typeof signals

const exits: Readonly<Record<Exclude<Upgrade['outcome'], 'interrupted'>, number>> = {
  upgraded: exit.OK,
  differs: exit.DATAERR,
  unreachable: exit.UNAVAILABLE,
  unwritable: exit.IOERR,
  busy: exit.TEMPFAIL,
  failed: exit.TEMPFAIL,
  refused: exit.NOPERM,
}

const meanings = {
  0: 'the build is here, and is what the server has',
  64: 'the command line makes no sense',
  65: 'what has come is not what the server has',
  69: 'the server does not answer, or rsync is not installed',
  74: 'the directory cannot be used, or not be written: a file is in the way, the disk is full',
  75: 'try again: the server says "try again", or the line broke; what has come is not sent twice',
  77: 'the server refuses, in other words than these',
  130: 'interrupted (129 and 143: by a signal); what has come is not sent twice',
}

const notTwice = 'what has come is not sent twice'

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
        title: 'The server cannot give the build now.',
        'server says': result.said,
        advice: 'try again when it says',
      }
    case 'refused':
      return {
        title: 'The server does not give the build.',
        'server says': result.said,
        advice: 'check the name of the build; if it is right, tell these words to who keeps the server',
      }
    case 'unreachable':
      return {
        title: 'The server does not say which builds it has.',
        rsync: `ended with ${result.code}`,
        because: result.said,
        advice: 'check --server, and that builds are published there',
      }
    case 'failed':
      return {
        title: 'The build did not come whole.',
        rsync: `ended with ${result.code}`,
        because: result.said,
        'so far': result.directory,
        advice: `try again: ${notTwice}`,
      }
    case 'unwritable':
      return {
        title: 'The build cannot be written here.',
        rsync: `ended with ${result.code}`,
        because: result.said,
        'so far': result.directory,
        advice: `make room there, or see that this user may write there and that the file system keeps attributes; ${notTwice}`,
      }
    case 'interrupted':
      return {
        title: 'Interrupted.',
        'so far': result.directory,
        advice: `go on with the same command: ${notTwice}`,
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

export const command = defineCommand({
  summary: 'fetch a build of the operating system, as a laptop does that upgrades itself',
  operand: 'BUILD',
  options: {
    server: { value: 'HOST[:PORT]', help: `the school server (default: schoolserver, port ${upgradePort})` },
    ...common,
    to: { value: 'DIR', help: 'where to put it (default: builds/BUILD in the home)' },
  },
  exits: meanings,
  async run({ home, json, server: where, to }, terminal, build) {
    const server = parseServer(where ?? 'schoolserver', upgradePort)
    const commentary = new Commentary(terminal, json ? 'warn' : 'print')
    const stop = new AbortController()
    let interrupt: Interrupt = 'SIGINT'
    const interrupted = (signal: NodeJS.Signals) => {
      interrupt = signal as Interrupt
      stop.abort()
    }
    for (const signal of Object.keys(signals)) process.on(signal, interrupted)
    try {
      const result = await upgrade(build, {
        server,
        to: to ?? join(homeDirectory(home), 'builds', build),
        listed: (isListed) => commentary.listed(authority(server), build, isListed),
        begun: (what) => commentary.begun(what),
        progress: (progress) => commentary.progress(progress),
        signal: stop.signal,
      })
      if (json) reportJson(terminal, { server, build, ...result })
      else report(terminal, describe(build, result))
      return result.outcome === 'interrupted' ? signals[interrupt] : exits[result.outcome]
    } finally {
      commentary.end()
      for (const signal of Object.keys(signals)) process.off(signal, interrupted)
    }
  },
})
