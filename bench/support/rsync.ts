import { type Ran, run } from './run.js'

/** How a laptop of today sends its Journal; the same to every server. */
const options = ['-rltp', '--delete']

const shell = (key: string, port: number): string =>
  [
    `ssh -F /dev/null -i ${key} -p ${port}`,
    ...['IdentitiesOnly=yes', 'BatchMode=yes', 'StrictHostKeyChecking=no', 'LogLevel=ERROR'].map(
      (option) => `-o ${option}`,
    ),
    '-o UserKnownHostsFile=/dev/null',
  ].join(' ')

export interface Destination {
  /** File of the private key. */
  readonly key: string
  readonly port: number
  readonly user: string
  readonly path: string
}

/** Sends what is in a folder, over ssh. */
export const sendByRsync = (folder: string, { key, port, user, path }: Destination): Promise<Ran> =>
  run('rsync', [...options, '-e', shell(key, port), `${folder}/`, `${user}@127.0.0.1:${path}`])

/** The same within this machine. */
export const copyByRsync = (folder: string, to: string, ...more: readonly string[]): Promise<Ran> =>
  run('rsync', [...options, ...more, `${folder}/`, to])
