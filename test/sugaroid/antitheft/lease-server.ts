import { once } from 'node:events'
import { createServer, type Socket } from 'node:net'
import type { Test } from 'tap'
import type { Server } from '../../../sugaroid/index.js'

export interface LeaseServer extends Server {
  /** What laptops sent before they closed their half, byte for byte. */
  readonly questions: string[]
}

/** A server of leases that gives `answer` once a laptop has closed its half of the connection. */
export async function leaseServer(
  t: Test,
  answer: (socket: Socket, question: string) => void,
): Promise<LeaseServer> {
  const questions: string[] = []
  const sockets = new Set<Socket>()
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    let question = ''
    sockets.add(socket)
    socket.on('error', () => undefined)
    socket.on('close', () => sockets.delete(socket))
    socket.setEncoding('latin1').on('data', (chunk) => {
      question += chunk
    })
    socket.on('end', () => {
      questions.push(question)
      answer(socket, question)
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    for (const socket of sockets) socket.destroy()
    return new Promise((closed) => server.close(closed))
  })
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('no port')
  return { host: '127.0.0.1', port: address.port, questions }
}
