/**
 * Stands for ssh and the server in one: rsync's client runs it with `-e`. It reads the command as the server does,
 * judges the stream as the server does, and runs rsync in the directory of the learner, which is in HOME_OF_LEARNER.
 */
import { spawn } from 'node:child_process'
import { judgedStream, RequestError, rsyncVersion, StreamHead } from '../../../core/api.js'
import { serverArguments } from '../../../plugins/backup/rsync/arguments.js'
import { parseCommand } from '../../../plugins/backup/rsync/command.js'
import { streamShape } from '../../../plugins/backup/rsync/stream.js'

const home = process.env.HOME_OF_LEARNER ?? ''
const words = process.argv.slice(2)
const text = words.slice(words[0] === '-l' ? 3 : 1).join(' ')

function fail(error: unknown): void {
  if (!(error instanceof RequestError)) throw error
  process.stderr.write(`sugar-server: ${error.message}\n`)
  process.exitCode = error.exitCode
}

try {
  const command = parseCommand(text)
  const shape = streamShape(command, await rsyncVersion())
  const args = serverArguments(command, { temporary: `${home}/temporary`, log: `${home}/log` })
  const rsync = spawn('rsync', args, { cwd: `${home}/tree`, stdio: ['pipe', 'inherit', 'inherit'] })
  const head = new StreamHead(shape)
  const judged = judgedStream(head, (error) => {
    fail(error)
    rsync.kill('SIGKILL')
  })
  rsync.stdin.on('error', () => undefined)
  process.stdin.pipe(judged).pipe(rsync.stdin)
  rsync.once('close', (code) => {
    process.stdin.destroy()
    process.exitCode ??= code ?? 1
    // For a test: how the stream began, by what the server made of the options.
    if (!head.isOver) process.stderr.write('the beginning of the stream has no end\n')
  })
} catch (error) {
  fail(error)
}
