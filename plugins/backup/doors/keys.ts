import { lineOf, readLines } from '../transport/sshd/lines.js'
import { complain, exit, reach } from './server.js'

/** Milliseconds that sshd, and the laptop behind it, is kept waiting. */
const patience = 10_000

/**
 * What sshd asks whether a key may come in (`AuthorizedKeysCommand`):
 * `sugar-server backup keys --root ROOT TYPE BLOB`. Prints the line of authorized_keys for a laptop that is
 * registered, and nothing for anybody else.
 */
export async function main(args: readonly string[]): Promise<number> {
  const [option, root, type, blob, ...more] = args
  if (
    option !== '--root' ||
    root === undefined ||
    type === undefined ||
    blob === undefined ||
    more.length > 0
  ) {
    complain('usage: sugar-server backup keys --root ROOT TYPE BLOB', 'sshd runs this; see its settings')
    return exit.usage
  }
  const server = await reach(root)
  if (typeof server === 'number') return server
  server.setTimeout(patience, () => server.destroy())
  return new Promise((resolve) => {
    let code: number = exit.tempFail
    readLines(
      server,
      ({ line }) => {
        if (typeof line !== 'string') return
        code = 0
        process.stdout.write(line === '' ? '' : `${line}\n`, () => server.end())
      },
      () => server.destroy(),
    )
    server.once('close', () => resolve(code))
    server.write(lineOf({ key: `${type} ${blob}` }))
  })
}
