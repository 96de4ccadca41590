import { setTimeout as sleep } from 'node:timers/promises'
import { pathToFileURL } from 'node:url'
import type { Output } from '../../control/output.js'
import { exit } from '../../errors.js'
import { greeting } from '../../greeting.js'
import type { House } from '../../house.js'
import { quoted, typedProgram } from '../../lib/typed-program.js'
import type { Log } from '../../log/log.js'
import { printable } from '../../log/printable.js'
import { version } from '../../version.js'
import type { HouseCommand } from '../command.js'
import { reportProblems, reportThrown } from '../report.js'

export const run: HouseCommand = {
  name: 'run',
  summary: 'Run the server in the foreground; the same as no command.',
  async run({ plan, output }) {
    if (plan.problems.length > 0) return reportProblems(plan.problems, output)
    process.umask(0o077)
    // Imported only now: no other command needs the whole house.
    const [{ openLog, lastWord }, { House }, { watchOver }] = await Promise.all([
      import('../../log/log.js'),
      import('../../house.js'),
      import('../../watchdog/watchdog.js'),
    ])
    const log = openLog(String(plan.settings.get('log-level')))
    const homes = plan.members.flatMap(({ name, file }) =>
      file === undefined ? [] : [{ plugin: name, url: pathToFileURL(file).href }],
    )
    watchOver(homes, log.logger)
    const house = new House(plan, log)
    // A plugin that calls process.exit() must not make it look like an end in order.
    const cutShort = () => {
      lastWord('something called process.exit(): the server ends at once and nothing is undone')
      process.exitCode = exit.software
    }
    process.once('exit', cutShort)
    const ended = untilStopped(house, log, () => process.off('exit', cutShort))
    try {
      // Told to stop meanwhile, it ends even where a plugin never finishes its start.
      await Promise.race([house.start({ listen: true }), ended])
    } catch (error) {
      await log.flush()
      process.off('exit', cutShort)
      return reportThrown(error, output)
    }
    await greet(house, output)
    return ended
  },
}

/** Milliseconds in which two signals are one. */
const oneGesture = 500

/**
 * Ends the house on signals and on request.
 * @param done called when it has ended in order
 * @returns the exit code, then
 */
function untilStopped(house: House, log: Log, done: () => void): Promise<number> {
  return new Promise((resolve) => {
    const stop = (why: string) => {
      log.logger.info(`${why}: stopping`)
      void house.stop().then(async (errors) => {
        log.logger.info('stopped')
        await log.flush()
        done()
        resolve(errors.length === 0 ? exit.ok : exit.failure)
      })
    }
    let last = Number.NEGATIVE_INFINITY
    const hear = (signal: string) => {
      // One Ctrl-C on "npm start" arrives twice, from the terminal and from npm: that is no impatience.
      const again = performance.now() - last < oneGesture
      last = performance.now()
      if (!again) stop(signal)
    }
    for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => hear(signal))
    house.onStopRequest = () => stop('asked to stop')
    // A promise that nobody awaited says nothing about the rest of the house; an exception out of the blue does.
    process.on('unhandledRejection', (err) =>
      log.logger.error({ err }, 'a promise failed and nobody listened'),
    )
    process.on('uncaughtException', (err) => {
      log.logger.fatal(
        { err },
        'an exception that nobody caught: the server ends, so that it can be started afresh',
      )
      void Promise.race([house.stop(), house.stop(), sleep(2000)]).then(async () => {
        await log.flush()
        done()
        process.exit(exit.software)
      })
    })
  })
}

/** Says what runs where, and what to type next. */
async function greet(house: House, output: Output): Promise<void> {
  const { listeners, plugins, phase } = await house.status()
  if (phase !== 'ready') return
  const url = (listener: string): string | undefined => {
    const found = listeners.find(({ name }) => name === listener)
    return found === undefined ? undefined : `http://${local(found.host)}:${found.port}`
  }
  const lines = [`sugar-server ${version} runs on ${house.root}`]
  for (const { name, state, message, hint } of plugins) {
    if (state !== 'running')
      lines.push(`  ${name} is ${state}: ${[message, hint].filter(Boolean).join('; ')}`)
  }
  const said: Record<string, readonly string[]> = {
    ...(await house.kernel.hooks.gather(greeting, {}, { url, program: typedProgram })),
    health: [`${url('httpd')}/health`],
    next: [`${typedProgram('sugar-server')} status --root ${quoted(house.root)}`],
  }
  const width = Math.max(...Object.keys(said).map((name) => name.length), 8)
  for (const [name, told] of Object.entries(said))
    for (const line of told) lines.push(`  ${name.padEnd(width)} ${line}`)
  output.out(`${lines.map(printable).join('\n')}\n`)
}

/** An address under which this machine reaches itself. */
function local(host: string): string {
  if (host === '0.0.0.0') return '127.0.0.1'
  if (host === '::') return '[::1]'
  return host.includes(':') ? `[${host}]` : host
}
