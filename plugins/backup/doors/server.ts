import { writeSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { doorSocket } from '../transport/sshd/door-socket.js'

/** sysexits.h: what clients try again after, what they should not have typed, what they may not. */
export const exit = { usage: 64, tempFail: 75, noPermission: 77 } as const

/** Prints on standard error, at once, and whether or not anybody listens. */
export function print(text: string): void {
  try {
    writeSync(2, text)
  } catch {
    // Nobody listens.
  }
}

/** Says something on standard error, in the way of the program; what is no text is left out. */
export function complain(...lines: readonly unknown[]): void {
  for (const line of lines) if (typeof line === 'string') print(`sugar-server: ${line}\n`)
}

/** Goes to the running server. @returns an exit code when there is none; what to do about it was said */
export async function reach(root: string): Promise<Socket | number> {
  const socket = connect(doorSocket(root))
  return new Promise((resolve) => {
    socket.once('connect', () => {
      socket.removeAllListeners('error')
      socket.on('error', () => socket.destroy())
      resolve(socket)
    })
    socket.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EACCES' || error.code === 'EPERM') {
        complain(
          `this user may not talk to the server in ${root}`,
          'have sshd run this as the user of the server',
        )
        resolve(exit.noPermission)
      } else {
        complain(`no server runs in ${root}`, 'try again later')
        resolve(exit.tempFail)
      }
    })
  })
}
