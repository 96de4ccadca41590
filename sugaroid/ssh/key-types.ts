import { execFile } from 'node:child_process'

/** Milliseconds, and bytes, that ssh may take to name its types of keys. */
const patience = 5000
const longest = 65_536

/**
 * The types of keys that the ssh of this machine can use, by their names such as `ssh-dss` (ssh(1), option -Q).
 * Empty where no ssh is installed, or one that does not say.
 */
export function keyTypesOfSsh(): Promise<ReadonlySet<string>> {
  return new Promise((resolve) => {
    const { PATH = '' } = process.env
    const options = {
      env: { PATH, LC_ALL: 'C' },
      timeout: patience,
      maxBuffer: longest,
      encoding: 'utf8',
    } as const
    execFile('ssh', ['-Q', 'key'], { ...options, killSignal: 'SIGKILL' }, (error, said) =>
      resolve(new Set(error === null ? said.split('\n').filter(Boolean) : [])),
    )
  })
}
