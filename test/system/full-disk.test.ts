import { spawnSync } from 'node:child_process'
import { closeSync, openSync } from 'node:fs'
import { mkdir, open, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { type Registrant, uidOf } from '../../sugaroid/index.js'
import { cli, type Server, startServer, until } from '../support/core/server-process.js'
import { enrol, newLaptop } from '../support/sugaroid/registrants.js'
import { temporaryDirectory } from '../support/temporary-directory.js'

t.setTimeout(300_000)

/** A disk of a few megabytes; undefined, and the test skipped, where this user cannot mount one. */
async function smallDisk(t: Test): Promise<string | undefined> {
  const disk = join(await temporaryDirectory(t), 'disk')
  await mkdir(disk, { mode: 0o700 })
  const { status, error, stderr } = spawnSync('mount', [
    '-t',
    'tmpfs',
    '-o',
    'size=3m,mode=700',
    'tmpfs',
    disk,
  ])
  if (status !== 0) {
    t.pass('needs a mounted tmpfs', { skip: `mount: ${error?.message ?? String(stderr).trim()}` })
    return undefined
  }
  // Lazily: a server that a failed test left behind may still hold files open.
  t.teardown(() => void spawnSync('umount', ['--lazy', disk]))
  return disk
}

const ballast = (disk: string): string => join(disk, 'ballast')

/** Leaves not one byte. */
async function fill(disk: string): Promise<void> {
  const file = await open(ballast(disk), 'w')
  for (let size = 1 << 20; size >= 1; size = Math.floor(size / 16)) {
    try {
      for (;;) await file.write(Buffer.alloc(size, 1))
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error
    }
  }
  await file.close()
}

const empty = (disk: string): Promise<void> => rm(ballast(disk))

async function uids(t: Test, { root }: Pick<Server, 'root'>): Promise<Set<string>> {
  const { out } = await cli(t, ['id', 'list', '--json', '--root', root])
  return new Set((JSON.parse(out) as { uid: string }[]).map(({ uid }) => uid))
}

/** Registers new laptops until one is refused: the last page of a file may have room for one or two. */
async function untilRefused(url: string, told: Registrant[]): Promise<{ laptop: Registrant; error: string }> {
  for (let tries = 0; tries < 50; tries += 1) {
    const laptop = newLaptop()
    const answer = await enrol(laptop, url)
    if (answer.outcome === 'refused') return { laptop, error: answer.error }
    if (answer.outcome !== 'registered') throw new Error(`${answer.outcome}`)
    told.push(laptop)
  }
  throw new Error('a full disk took fifty laptops')
}

const byRest = async (url: string, { serial, nickname, uuid, pubkey }: Registrant): Promise<Response> =>
  fetch(`${url}/client/register`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify({ nickname, machine_sn: serial, machine_uuid: uuid, pubkey: `ssh-dss ${pubkey}` }),
  })

const absent = (told: readonly Registrant[], found: Set<string>): Registrant[] =>
  told.filter(({ pubkey }) => !found.has(uidOf(pubkey)))

t.test('a full disk refuses new laptops, loses none, and takes them again when there is room', async (t) => {
  const disk = await smallDisk(t)
  if (disk === undefined) return
  const root = join(disk, 'root')
  const server = await startServer(t, { root })
  const [id, httpd] = [await server.url('id'), await server.url('httpd')]
  const told: Registrant[] = []
  for (let count = 0; count < 20; count += 1) {
    const laptop = newLaptop()
    t.equal((await enrol(laptop, id)).outcome, 'registered')
    told.push(laptop)
  }
  await fill(disk)
  const { laptop: unlucky, error } = await untilRefused(id, told)
  t.match(error, /^the school server has no room to keep this; tell your teacher/)
  const rest = await byRest(httpd, newLaptop())
  t.equal(rest.status, 503)
  t.ok(rest.headers.get('retry-after'))
  t.match(await rest.json(), { success: 'ERR', error: /no room/ })

  const health = await fetch(`${httpd}/health`)
  t.equal(health.status, 503)
  t.match(await health.json(), { status: 'degraded', store: 'read-only', plugins: { id: 'running' } })
  t.match(await server.status(), { store: { driver: 'nedb', readOnly: /ENOSPC/ } })
  t.match((await cli(t, ['status', '--root', root])).out, /^THE STORE IS READ-ONLY: .*ENOSPC/m)
  t.match(
    server.log().find(({ msg }) => /read-only/.test(msg)),
    { level: 50, err: { message: /ENOSPC/ } },
  )
  t.same(absent(told, await uids(t, server)), [], 'everyone who was told OK is still listed')
  for (const laptop of told.slice(0, 3))
    t.equal((await enrol(laptop, id)).outcome, 'registered', 'who is known already is served')
  t.match(await cli(t, ['id', 'remove', uidOf(told[0]?.pubkey ?? ''), '--root', root]), {
    code: 75,
    err: /make room/,
  })

  await empty(disk)
  const began = performance.now()
  await until(
    async () => (await fetch(`${httpd}/health`)).status === 200,
    'the store to accept writes',
    30_000,
  )
  t.comment(`back after ${Math.round(performance.now() - began)} ms`)
  t.notMatch((await cli(t, ['status', '--root', root])).out, /READ-ONLY/)
  for (const laptop of [unlucky, newLaptop()]) {
    t.equal((await enrol(laptop, id)).outcome, 'registered', 'by itself')
    told.push(laptop)
  }
  t.equal((await byRest(httpd, newLaptop())).status, 200)
  t.equal((await server.stop()).code, 0)

  const again = await startServer(t, { root })
  t.same(absent(told, await uids(t, again)), [], 'everyone is there after a restart')
  t.same((await again.status()).store, { driver: 'nedb', repairs: [] }, 'and nothing had to be repaired')
  t.equal((await again.stop()).code, 0)
})

t.test('kill -9 on a full disk loses nobody, and the next start serves who is known', async (t) => {
  const disk = await smallDisk(t)
  if (disk === undefined) return
  const root = join(disk, 'root')
  const server = await startServer(t, { root })
  const told: Registrant[] = []
  const id = await server.url('id')
  for (let count = 0; count < 10; count += 1) {
    const laptop = newLaptop()
    t.equal((await enrol(laptop, id)).outcome, 'registered')
    told.push(laptop)
  }
  await fill(disk)
  await untilRefused(id, told)
  // It takes back what it wrote of the refused one by itself, soon.
  await sleep(2000)
  await server.kill9()
  const full = await startServer(t, { root })
  t.same(absent(told, await uids(t, full)), [], 'a start needs no room to tell who is there')
  t.equal((await enrol(told[0] ?? newLaptop(), await full.url('id'))).outcome, 'registered')
  await untilRefused(await full.url('id'), told)
  t.equal((await full.stop()).code, 0)
  await empty(disk)
  const again = await startServer(t, { root })
  t.same(absent(told, await uids(t, again)), [])
  t.equal((await enrol(newLaptop(), await again.url('id'))).outcome, 'registered')
})

t.test('a log on a full disk does not stop the school, and goes on when there is room', async (t) => {
  const disk = await smallDisk(t)
  if (disk === undefined) return
  const log = join(disk, 'log')
  closeSync(openSync(log, 'w', 0o600))
  const prefix = ['sh', '-c', `exec "$@" 2>>${log}`, 'sh']
  const server = await startServer(t, { prefix })
  const id = await server.url('id')
  t.equal((await enrol(newLaptop(), id)).outcome, 'registered')
  await fill(disk)
  for (let count = 0; count < 100; count += 1)
    t.equal((await enrol(newLaptop(), id)).outcome, 'registered', 'the root is on another disk')
  const before = await readFile(log, 'utf8')
  await empty(disk)
  t.equal((await enrol(newLaptop(), id)).outcome, 'registered')
  await until(async () => (await readFile(log, 'utf8')).length > before.length, 'the log to go on')
  await fill(disk)
  t.match(await server.stop(), { code: 0, signal: null }, 'and it still ends in order')
})
