import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { markerName } from '../../core/lib/marker.js'
import { type Registrant, type Registration, uidOf } from '../../sugaroid/index.js'
import { cliHere } from '../support/core/cli-here.js'
import { cli, idPorts, launch, type Server, startServer, until } from '../support/core/server-process.js'
import { rounds, seed, spread } from '../support/rounds.js'
import { seededRandom } from '../support/seeded-random.js'
import { enrol, newLaptop } from '../support/sugaroid/registrants.js'
import { temporaryDirectory } from '../support/temporary-directory.js'

t.setTimeout(600_000)

const many = rounds(50, 10)
const random = seededRandom(seed)
const clients = 8
// All clients share one address here, as no school's laptops do.
const args = [...idPorts, '--plugins', 'id', '--registration-limit', '0', '--jabber-server', 'jabber.school']

/** What the laptops know, whatever becomes of the server. */
interface Memory {
  /** Everyone who ever asked, by uid. */
  asked: Map<string, Registrant>
  /** What those were told who were told something. */
  told: Map<string, Registration>
}

/** Registers laptops one after the other until the server is gone; the one that got no answer asks the next one. */
async function classroom(
  url: string,
  memory: Memory,
  onTold: () => void,
  waiting: Registrant[],
): Promise<void> {
  for (;;) {
    const laptop = waiting.pop() ?? newLaptop()
    const uid = uidOf(laptop.pubkey)
    memory.asked.set(uid, laptop)
    const answer = await enrol(laptop, url)
    if (answer.outcome !== 'registered') {
      if (answer.outcome === 'refused') throw new Error(`refused: ${answer.error}`)
      waiting.push(laptop)
      return
    }
    memory.told.set(uid, answer)
    onTold()
  }
}

interface Listed {
  uid: string
  nickname: string
  serials: string[]
  uuids: string[]
  pubkey: string
}

/** Everyone the server knows. */
async function known(
  t: Test,
  server: Pick<Server, 'root'>,
  command: 'list' | 'export',
): Promise<Map<string, Listed>> {
  const words = ['id', command, ...(command === 'list' ? ['--json'] : []), '--root', server.root]
  const { code, out, err } = await cliHere(t, words)
  if (code !== 0) throw new Error(`id ${command} ended with ${code}: ${err}`)
  const rows = JSON.parse(out) as Listed[]
  const found = new Map(rows.map((row) => [row.uid, row]))
  if (found.size !== rows.length) throw new Error('somebody is listed twice')
  return found
}

const missing = (memory: Memory, found: Map<string, Listed>): string[] =>
  [...memory.told.keys()].filter((uid) => !found.has(uid))

/** Those whose record is not what they sent. */
const damaged = ({ asked }: Memory, found: Map<string, Listed>): unknown[] =>
  [...found].filter(([uid, { nickname, serials, uuids, pubkey }]) => {
    const laptop = asked.get(uid)
    const sent = laptop && [laptop.nickname, [laptop.serial], [laptop.uuid], `ssh-dss ${laptop.pubkey}`]
    return JSON.stringify([nickname, serials, uuids, pubkey]) !== JSON.stringify(sent)
  })

t.test(
  `${many} times kill -9 under ${clients} registering laptops: whoever was told OK is there`,
  async (t) => {
    const root = join(await temporaryDirectory(t), 'root')
    const memory: Memory = { asked: new Map(), told: new Map() }
    const waiting: Registrant[] = []
    for (let round = 0; round < many; round += 1) {
      // Each fifth time it is killed while it starts as well, when the files are read and written anew.
      if (round % 5 === 4) {
        const early = await launch(t, { root, args })
        await sleep(60 + spread(random, round, many, 400))
        await early.kill9()
      }
      const server = await startServer(t, { root, args })
      const url = await server.url('id')
      const found = await known(t, server, 'list')
      const lost = missing(memory, found)
      if (lost.length > 0) t.same(lost, [], `nothing is missing after round ${round}`)

      let left = 5 + Math.floor(random() * 40)
      const onTold = () => {
        left -= 1
        if (left === 0) server.child.kill('SIGKILL')
      }
      const room = Array.from({ length: clients }, () => classroom(url, memory, onTold, waiting))
      await Promise.all(room).catch((error) => t.fail(error))
      if ((await server.kill9()).signal !== 'SIGKILL')
        t.fail('the server ended by itself', { err: server.said.err })
      if (/store repaired: \d+ damaged lines/.test(server.said.err))
        t.fail('whole lines were damaged', { log: server.said.err })
    }

    const server = await startServer(t, { root, args })
    const found = await known(t, server, 'export')
    t.ok(memory.told.size >= many * 5, `${memory.told.size} were told OK`)
    t.same(missing(memory, found), [], 'nobody is missing')
    t.same(damaged(memory, found), [], 'nobody is damaged')
    t.match(await server.status(), { plugins: [{ name: 'id', state: 'running' }], health: [] })

    const url = await server.url('id')
    const changed: string[] = []
    for (const [uid, answer] of memory.told) {
      const laptop = memory.asked.get(uid)
      if (laptop === undefined || JSON.stringify(await enrol(laptop, url)) !== JSON.stringify(answer))
        changed.push(uid)
    }
    t.same(changed, [], 'registering again gives everyone the same values back')
    for (const laptop of waiting)
      t.equal((await enrol(laptop, url)).outcome, 'registered', 'those without an answer get one')
    t.equal((await known(t, server, 'list')).size, memory.asked.size, 'and nobody is there twice')
    t.equal((await server.stop()).code, 0)
    const left = (await readdir(join(root, 'store'))).filter(
      (name) => name !== markerName && !name.endsWith('.db') && !name.includes('.damaged-'),
    )
    t.same(left, [], 'no rubbish is left')
  },
)

t.test(
  'a server that is gone leaves no socket behind that answers, and the next one takes its place',
  async (t) => {
    const server = await startServer(t, { args })
    await server.kill9()
    t.match(await cli(t, ['status', '--root', server.root]), { code: 69, err: /no sugar-server runs/ })
    t.match(await cli(t, ['stop', '--root', server.root]), { code: 69 })
    t.match(await cli(t, ['id', 'list', '--json', '--root', server.root]), { code: 0, out: '[]\n' })
    const heirs = await Promise.all([0, 1, 2].map(() => launch(t, { root: server.root, args })))
    const ended = () => heirs.filter(({ child }) => child.exitCode !== null)
    await until(() => ended().length >= 2, 'two to be sent away')
    for (const heir of ended()) t.match(await heir.ended, { code: 75 }, 'of several at once, one does')
    const [winner] = heirs.filter((heir) => !ended().includes(heir))
    await until(() => winner?.said.out.includes('  next ') ?? true, 'the winner to start')
    t.match(await winner?.status(), { phase: 'ready' })
    t.match(await winner?.stop(), { code: 0 })
  },
)
