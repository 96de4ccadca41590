import { spawn } from 'node:child_process'

/**
 * Tells systemd how the service fares, when it asked for that (sd_notify(3)). Node has no datagram sockets of the
 * UNIX kind, so systemd's own program sends it; the unit says NotifyAccess=all for that.
 */
export async function notify(...states: string[]): Promise<void> {
  if (process.env.NOTIFY_SOCKET === undefined) return
  const child = spawn('systemd-notify', states, { stdio: 'ignore' })
  // Without the program the service still runs; systemd then says that it never became ready.
  await new Promise((resolve) => child.once('close', resolve).once('error', resolve))
}
