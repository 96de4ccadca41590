import { readFile } from 'node:fs/promises'
import type { Readable, Writable } from 'node:stream'
import ssh2 from 'ssh2'
import type { ShellCall } from './command-line.js'
import { isKnownHost } from './known-hosts.js'

/** Where the command's input comes from, and where its outputs go. */
export interface Streams {
  readonly input: Readable
  readonly output: Writable
  readonly errors: Writable
}

/** The connection did not come about, or broke. The message is what OpenSSH would say where it says anything. */
export class ShellFailed extends Error {
  override readonly name = 'ShellFailed'
}

/** Exit code of a command that a signal ended, as OpenSSH has it. */
const signalled = 255

function failure(error: Error & { level?: string }, { user, host }: ShellCall): ShellFailed {
  if (error.level === 'client-authentication')
    return new ShellFailed(`${user}@${host}: Permission denied (publickey).`)
  return new ShellFailed(error.message, { cause: error })
}

/**
 * Runs a command over ssh with a key that may be DSA, which every Sugar makes and OpenSSH 10 does not know any more.
 * @returns the command's exit code
 * @throws ShellFailed
 */
export async function runShell(call: ShellCall, { input, output, errors }: Streams): Promise<number> {
  const privateKey = await readFile(call.keyFile)
  return new Promise((resolve, reject) => {
    const client = new ssh2.Client()
    const fail = (error: Error) => {
      reject(error instanceof ShellFailed ? error : failure(error, call))
      client.destroy()
    }
    client.on('error', fail)
    client.on('close', () => fail(new Error('the server closed the connection')))
    client.on('ready', () => {
      client.exec(call.command, (error, channel) => {
        if (error) return fail(error)
        let code = signalled
        channel.on('exit', (ended: number | null) => {
          code = ended ?? signalled
        })
        input.pipe(channel)
        // A reader that has gone wants nothing more of it.
        output.on('error', () => client.destroy())
        channel.pipe(output)
        channel.stderr.pipe(errors, { end: false })
        channel.on('error', fail)
        channel.on('close', () => {
          input.unpipe(channel)
          resolve(code)
          client.end()
        })
      })
    })
    client.connect({
      host: call.host,
      port: call.port,
      username: call.user,
      privateKey,
      readyTimeout: call.timeout,
      algorithms: call.algorithms,
      hostVerifier: (key: Buffer, verdict: (isKnown: boolean) => void) => {
        const { knownHosts, host, port } = call
        isKnownHost(knownHosts, host, port, key).then((isKnown) => {
          if (!isKnown) fail(new ShellFailed('Host key verification failed.'))
          verdict(isKnown)
        }, fail)
      },
    })
  })
}
