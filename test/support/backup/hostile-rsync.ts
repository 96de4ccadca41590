/** rsync's client as nobody ships it: bytes that ask the server's rsync to read rules from a file of the server. */

import type { ChildProcessWithoutNullStreams } from 'node:child_process'

export interface HostileClient {
  command: string
  /** Speaks through a program that leads to the server. @returns all that it was told */
  talk(program: ChildProcessWithoutNullStreams): Promise<{ told: string; client: string }>
}

const number = (value: number): Buffer => {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32LE(value)
  return bytes
}

/** Every way by which rsync would tell what stands in a file that a rule names. */
export function fileReaders(file: string): HostileClient[] {
  const clients: HostileClient[] = []
  for (const rule of [`. ${file}`, `.- ${file}`, `.w- ${file}`, `: ${file}`]) {
    for (const [version, letters] of [
      [29, '-r'],
      [31, '-re.LsfxCI'],
      [31, '-vvvre.LsfxCI'],
    ] as const) {
      const rules = Buffer.concat([number(Buffer.byteLength(rule)), Buffer.from(rule), number(0)])
      // From version 30 on, the client's messages have a head too: 7 is "data".
      const head = version < 30 ? [] : [number((7 << 24) | rules.length)]
      const bytes = Buffer.concat([number(version), ...head, rules])
      for (const options of [`--sender ${letters}`, `${letters} --delete`]) {
        const command = `rsync --server ${options} . datastore-current`
        const client = `${command}, version ${version}, rule ${rule}`
        clients.push({ command, talk: async (program) => ({ told: await talk(program, bytes), client }) })
      }
    }
  }
  return clients
}

async function talk(program: ChildProcessWithoutNullStreams, bytes: Buffer): Promise<string> {
  let told = ''
  for (const stream of [program.stdout, program.stderr]) {
    stream.on('data', (piece: Buffer) => {
      told += piece.toString('latin1')
    })
  }
  program.stdin.on('error', () => {})
  program.stdin.write(bytes)
  // rsync complains when it has read the rules; at the end of its input it would say something else.
  setTimeout(() => program.stdin.end(), 1500)
  await new Promise((resolve) => program.once('close', resolve))
  return told
}
