/**
 * Laptops that boot: `callers.js PORT FIRST COUNT TOGETHER LAPTOPS` has COUNT laptops ask, TOGETHER at a time, from
 * serial number FIRST on and over again behind LAPTOPS of them. Prints the seconds that it took, and how many got what
 * they should: something that begins with `act01: ` and their serial.
 */
import { connect } from 'node:net'
import { serialOf } from './laptops.js'

const [port = 0, first = 0, count = 0, together = 0, laptops = 0] = process.argv.slice(2).map(Number)

let next = 0
let served = 0

function call(): Promise<void> {
  const serial = serialOf(first + (next % laptops))
  next += 1
  return new Promise((resolve) => {
    const socket = connect({ port, host: '127.0.0.1' })
    let head = ''
    let tail = ''
    socket.setEncoding('latin1')
    socket.on('data', (text: string) => {
      if (head === '') head = text
      tail = text
    })
    socket.on('error', () => undefined)
    socket.on('close', () => {
      if (head.startsWith(`act01: ${serial} K `) && tail.endsWith('\n')) served += 1
      resolve()
    })
    // Its half is closed behind the serial, as laptops do.
    socket.end(serial)
  })
}

async function caller(): Promise<void> {
  while (next < count) await call()
}

const began = performance.now()
await Promise.all(Array.from({ length: together }, caller))
process.stdout.write(`${JSON.stringify({ seconds: (performance.now() - began) / 1000, served })}\n`)
