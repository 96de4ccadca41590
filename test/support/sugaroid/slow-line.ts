import { randomBytes } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { connect, createServer } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Test } from 'tap'
import type { Server } from '../../../sugaroid/index.js'
import { listen } from './fake-servers.js'
import { build, served } from './served-build.js'

/** A slow line to a server. */
export interface Line extends Server {
  /** Bytes that came from the server. */
  bytes: number
  /** Bytes that may come before it breaks. */
  breaksAt: number
}

/** @param speed bytes a second, of all connections together */
async function slowLine(t: Test, { host, port }: Server, speed: number): Promise<Line> {
  let free = 0
  const server = createServer((near) => {
    const far = connect({ host, port })
    far.on('error', () => near.destroy())
    near.on('close', () => far.destroy()).pipe(far)
    const carry = async () => {
      for await (const chunk of far as AsyncIterable<Buffer>) {
        free = Math.max(free, performance.now()) + (chunk.length * 1000) / speed
        await sleep(free - performance.now())
        line.bytes += chunk.length
        if (line.bytes > line.breaksAt) return near.resetAndDestroy()
        near.write(chunk)
      }
      near.end()
    }
    carry().catch(() => undefined)
  })
  const line: Line = { ...(await listen(t, server)), bytes: 0, breaksAt: Number.POSITIVE_INFINITY }
  return line
}

/** A server that lists nothing, and lets whoever asks for a module wait some milliseconds before it says no. */
export async function fetchingServer(t: Test, wait: number, words: string): Promise<Server> {
  const server = createServer((socket) => {
    socket.write('@RSYNCD: 31.0\n')
    let heard = ''
    socket.setEncoding('latin1').on('data', (text: string) => {
      heard += text
      const [, module] = /^@RSYNCD: .*\n(.*)\n/.exec(heard) ?? []
      if (module === undefined) return
      if (module === '' || module === '#list') socket.end('@RSYNCD: EXIT\n')
      else {
        const answer = setTimeout(() => socket.end(`@ERROR: ${words}\n`), wait)
        socket.on('close', () => clearTimeout(answer))
      }
    })
  })
  return listen(t, server)
}

/** A build that is served over a slow line: two million bytes that cannot be compressed, and some small files. */
export async function large(t: Test, speed: number) {
  const path = await build(t)
  await writeFile(join(path, 'root', 'vmlinuz'), randomBytes(2_000_000))
  return slowLine(t, await served(t, path), speed)
}
