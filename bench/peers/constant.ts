/** A peer of the bench "activation": a bare server that answers everybody the same, as soon as something comes. */
import { createServer } from 'node:net'

const answer = `act01: ${process.argv[3]} K 20300101T000000Z sig01: sha256 ${'0'.repeat(64)} ${'0'.repeat(512)}\n`

createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
  socket.once('data', () => socket.end(answer))
  socket.on('error', () => undefined)
}).listen(Number(process.argv[2]), '127.0.0.1', () => process.stdout.write('ready\n'))
