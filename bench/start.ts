/**
 * From spawn to ready with 2,000 learners kept, and the memory an idle server has: ours, and bare koa, tsyringe and
 * NeDB over the same file of users.
 */
import { copyFile, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { newLaptop } from './support/laptops.js'
import { freePort, median, residentOf, type Served, serve } from './support/process.js'

const rounds = 9
const learners = 2000
const here = fileURLToPath(new URL('.', import.meta.url))
const root = await mkdtemp(join(tmpdir(), 'sugar-bench-'))

const ours = (port: number): Promise<Served> =>
  serve(process.execPath, [
    join(here, '..', 'core', 'bin', 'sugar-server.js'),
    ...['--plugins', 'id', '--root', join(root, 'root'), '--host', '127.0.0.1'],
    ...['--httpd-port', '0', '--id-port', String(port)],
    ...['--registration-limit', '0'],
  ])
const bare = (port: number): Promise<Served> =>
  serve(process.execPath, [join(here, 'peers', 'start.js'), String(port), join(root, 'users.db')])

const first = await freePort()
const filling = await ours(first)
for (let at = 0; at < learners; at += 1) {
  const answer = await fetch(`http://127.0.0.1:${first}/`, { method: 'POST', body: newLaptop() })
  if (!(await answer.text()).includes('>OK<')) throw new Error('a registration was refused')
}
await filling.end()
await copyFile(join(root, 'root', 'store', 'id.users.db'), join(root, 'users.db'))

const found = {
  ours: { ready: [] as number[], resident: [] as number[] },
  bare: { ready: [] as number[], resident: [] as number[] },
}
for (let round = 1; round <= rounds; round += 1) {
  for (const [name, start] of [
    ['ours', ours],
    ['bare', bare],
  ] as const) {
    const served = await start(await freePort())
    await sleep(2000)
    found[name].ready.push(served.readyAfter)
    found[name].resident.push(residentOf(served.child))
    await served.end()
  }
}
await rm(root, { recursive: true, force: true })

for (const [name, { ready, resident }] of Object.entries(found)) {
  process.stdout.write(
    `median   ${name}  ready after ${median(ready).toFixed(0)} ms, ${median(resident).toFixed(1)} MB resident when idle\n`,
  )
}
process.stdout.write(
  `ratio    ours / bare, ready  ${(median(found.ours.ready) / median(found.bare.ready)).toFixed(2)}  (under 1.5)\n`,
)
process.stdout.write(`memory   ours  ${median(found.ours.resident).toFixed(1)} MB  (under 90)\n`)
