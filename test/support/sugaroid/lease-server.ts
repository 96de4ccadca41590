import { createServer, type Socket } from 'node:net'
import type { Test } from 'tap'
import type { Server } from '../../../sugaroid/index.js'
import { listen } from './fake-servers.js'

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
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    let question = ''
    socket.setEncoding('latin1').on('data', (chunk) => {
      question += chunk
    })
    socket.on('end', () => {
      questions.push(question)
      answer(socket, question)
    })
  })
  return { ...(await listen(t, server)), questions }
}
