import { randomInt } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:net'

/** Below the ports that the kernel gives to connections and to listeners that take any (32768 and up). */
const [lowest, highest] = [10_000, 32_000]

const given = new Set<number>()

/**
 * A port of 127.0.0.1 that no program has now. It is not one that the kernel may give to another program in between,
 * as it may with a port that it has once given itself.
 */
export async function freePort(): Promise<number> {
  for (let tries = 0; tries < 1000; tries += 1) {
    const port = randomInt(lowest, highest)
    if (given.has(port)) continue
    const server = createServer()
    const bound = await Promise.race([
      once(server.listen(port, '127.0.0.1'), 'listening').then(() => true),
      once(server, 'error').then(() => false),
    ]).catch(() => false)
    if (!bound) continue
    given.add(port)
    server.close()
    await once(server, 'close')
    return port
  }
  throw new Error('no port of 127.0.0.1 is free')
}

/** Several of them. */
export async function freePorts(count: number): Promise<number[]> {
  const ports: number[] = []
  while (ports.length < count) ports.push(await freePort())
  return ports
}
