import { execFile } from 'node:child_process'
import { access } from 'node:fs/promises'

const words = ['show', '--property=NTPSynchronized', '--value']
/** Made by systemd-timesyncd once it has heard from a server. */
const sign = '/run/systemd/timesync/synchronized'

/**
 * Whether the system says that its clock is synchronised. What does not say so counts as no.
 * @param program looked for on the PATH, and given 5 seconds
 */
export async function isSynchronised(program = 'timedatectl'): Promise<boolean> {
  const answer = await new Promise<string | undefined>((resolve) => {
    execFile(
      program,
      words,
      { timeout: 5000, killSignal: 'SIGKILL', maxBuffer: 4096, env: { ...process.env, LC_ALL: 'C' } },
      (error, out) => resolve(error === null ? out.trim() : undefined),
    )
  })
  if (answer === 'yes' || answer === 'no') return answer === 'yes'
  return access(sign).then(
    () => true,
    () => false,
  )
}
