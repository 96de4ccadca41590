import { createCipheriv } from 'node:crypto'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Stage } from './stage.js'

/** In one directory. */
const together = 100

/** Publishes a tree of files that do not compress, the same in each run, by both servers. */
export async function publishTree(
  { pub, daemon }: Stage,
  name: string,
  { count, size }: { count: number; size: number },
): Promise<void> {
  const folder = join(pub, name)
  const chance = createCipheriv('aes-128-ctr', Buffer.alloc(16), Buffer.alloc(16))
  for (let at = 0; at < count; at += 1) {
    const place = join(folder, String(Math.floor(at / together)))
    if (at % together === 0) await mkdir(place, { recursive: true })
    await writeFile(join(place, String(at)), chance.update(Buffer.alloc(size)))
  }
  await daemon.publish(name, folder)
}
