import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Test } from 'tap'
import { ControlClient } from '../../../core/control/client.js'
import { changeJournal, differences, type Inventory, takeInventory } from '../../../sugaroid/index.js'
import { until } from '../core/server-process.js'
import { processes, processesOf } from '../processes.js'
import { isSoak } from '../rounds.js'
import { seededRandom } from '../seeded-random.js'
import { temporaryDirectory } from '../temporary-directory.js'
import { enrolLearner, type Learner, names, push, quiet, type Running, type School } from './backup-school.js'

/** Who is killed. */
export type Victim = 'server' | 'rsync' | 'door' | 'ssh' | 'archive'

export interface Peril {
  readonly victims: readonly Victim[]
  readonly kills: number
  /** So many kills, then everything is looked at. */
  readonly between: number
  readonly seed: number
}

/** So many snapshots outlive a prune. */
export const kept = 5

/** Entries of the Journal of each laptop. Small ones make more backups in the same time. */
const journals = isSoak ? [30, 40, 60, 100] : [8, 12, 16, 30]

async function* none(): AsyncGenerator<never> {}

/** What a laptop knows of its backups. */
interface Memory {
  readonly learner: Learner
  /** What it was told is safe. */
  safe?: Inventory
  /** What it sent since then, and does not know what became of. */
  unknown: Inventory[]
  running?: Running
  /** Snapshots that the server told of, oldest first. */
  listed: string[]
}

/** Laptops that back up one change after the other, while somebody kills what they need for it. */
export class Survival {
  readonly #t: Test
  readonly #school: School
  readonly #peril: Peril
  readonly #random: () => number
  readonly #memories: Memory[] = []
  readonly #killed: Partial<Record<Victim, number>> = {}
  #days = 0
  #acknowledged = 0
  #pause = false
  /** What the operator does just now. With no server, a command has the root to itself. */
  #command: Promise<unknown> = Promise.resolve()
  #isDown = false

  constructor(t: Test, school: School, peril: Peril) {
    this.#t = t
    this.#school = school
    this.#peril = peril
    this.#random = seededRandom(peril.seed)
  }

  async run(): Promise<void> {
    const t = this.#t
    for (const entries of journals) {
      const learner = await enrolLearner(t, this.#school, { entries, megabytes: entries / 10 })
      this.#memories.push({ learner, unknown: [], listed: [] })
    }
    for (let kills = 0; kills < this.#peril.kills; ) {
      this.#pause = false
      const work = [...this.#memories.map((memory) => this.#attend(memory)), this.#operator()]
      const until = Math.min(this.#peril.kills, kills + this.#peril.between)
      while (kills < until) {
        await sleep(20 + this.#random() * 300)
        if (await this.#kill(this.#peril.kills - kills)) kills += 1
      }
      this.#pause = true
      await Promise.all(work)
      await this.#look()
      if (!t.passing()) return void t.comment(`seed ${this.#peril.seed}`)
    }
    t.comment(`${JSON.stringify(this.#killed)}, ${this.#acknowledged} of ${this.#days} backups ended well`)
    t.equal((await this.#school.server.stop()).code, 0)
    t.same(processesOf(this.#school.root), [], 'nothing is left behind')
    t.same(names(join(this.#school.archive, 'processes')), [])
    for (const victim of this.#peril.victims) t.ok((this.#killed[victim] ?? 0) > 0, `${victim} was killed`)
  }

  /** A laptop's days at school. */
  async #attend(memory: Memory): Promise<void> {
    const { learner } = memory
    while (!this.#pause) {
      this.#days += 1
      await changeJournal(learner.datastore, { percent: 5, seed: `${this.#peril.seed} ${this.#days}` })
      const journal = await takeInventory(learner.datastore)
      memory.unknown.push(journal)
      memory.running = push(learner)
      const { code } = await memory.running
      delete memory.running
      if (code === 0) {
        this.#acknowledged += 1
        memory.safe = journal
        memory.unknown = []
      } else await sleep(100)
    }
  }

  /** The operator prunes: three times of four over the server's socket, since the program takes far longer. */
  async #operator(): Promise<void> {
    for (let turn = 0; !this.#pause; turn += 1) {
      if (!this.#isDown) this.#command = turn % 4 === 0 ? this.#school.backup('prune') : this.#prune()
      await this.#command
      await sleep(200)
    }
  }

  async #prune(): Promise<void> {
    const wanted = { plugin: 'backup', command: 'prune', args: {}, options: {}, cwd: '/', json: false }
    const output = { out: () => undefined, err: () => undefined }
    const client = new ControlClient(this.#school.root)
    // The server may be killed at any moment.
    await client.command(wanted, none(), output, async () => undefined).catch(() => undefined)
  }

  /** @param left so many kills are to come, this one included: enough for each victim that was not met yet */
  async #kill(left: number): Promise<boolean> {
    const { victims } = this.#peril
    // Some live shortly and are seldom met: those that were not yet are looked for more often.
    const spared = victims.filter((one) => (this.#killed[one] ?? 0) === 0)
    const isLast = spared.length >= left
    const from = spared.length > 0 && (isLast || this.#random() < 0.7) ? spared : victims
    const victim = from[Math.floor(this.#random() * from.length)] ?? 'server'
    if (victim === 'server') {
      // A server that has come up only now has not much to lose.
      await sleep(this.#random() * 1000)
      this.#isDown = true
      await this.#school.server.kill9()
      await this.#command
    } else {
      const pids = this.#pidsOf(victim)
      const pid = pids[Math.floor(this.#random() * pids.length)]
      if (pid === undefined) return false
      try {
        process.kill(pid, 'SIGKILL')
      } catch {
        return false
      }
    }
    this.#killed[victim] = (this.#killed[victim] ?? 0) + 1
    if (victim === 'server') {
      await this.#school.start()
      this.#isDown = false
    }
    return true
  }

  #pidsOf(victim: Victim): number[] {
    const { root } = this.#school
    const own = new Set(this.#memories.map(({ running }) => running?.child.pid))
    return processes()
      .filter(({ name, group, words }) => {
        if (victim === 'ssh') return name === 'ssh' && own.has(group)
        if (!words.some((word) => word.includes(root))) return false
        if (victim === 'rsync') return name === 'rsync'
        if (victim === 'door') return words.includes('door') && words.includes('backup')
        return words.some((word) => word.endsWith('archive/process.js'))
      })
      .map(({ pid }) => pid)
  }

  async #look(): Promise<void> {
    const t = this.#t
    const school = this.#school
    await until(() => this.#memories.every(({ running }) => running === undefined), 'the laptops to pause')
    await quiet(school)
    t.match(await school.ask('verify'), { code: 0, out: /all as they were written/ })
    const { running, sessions } = await school.status()
    t.same({ running, sessions }, { running: 0, sessions: [] }, 'all slots are free')
    t.same(names(join(school.archive, 'scratch')), [], 'nothing half made is left')
    for (const memory of this.#memories) await this.#compare(memory)
  }

  async #compare(memory: Memory): Promise<void> {
    const { learner, safe, unknown, listed } = memory
    const t = this.#t
    if (safe === undefined) return
    const ids = (await this.#school.snapshots(learner.uid)).map(({ id }) => id)
    const gone = listed.filter((id) => !ids.includes(id) && ids.filter((other) => other > id).length < kept)
    t.same(gone, [], 'no snapshot went but by the rules')
    memory.listed = ids
    const possible = [safe, ...unknown]
    const newest = await this.#restored(learner, 'latest')
    const found = possible.findLastIndex((journal) => differences(journal, newest).length === 0)
    if (found > 0) {
      // One that was cut off at its very end is there all the same; what was safe must then be before it.
      memory.unknown = possible.slice(found)
      for (const id of ids.slice(-1 - found).reverse())
        if (differences(safe, await this.#restored(learner, id)).length === 0) return
    }
    t.equal(found, 0, `what ended with 0 is there: ${differences(safe, newest).slice(0, 3).join('\n')}`)
  }

  async #restored({ uid }: Learner, at: string): Promise<Inventory> {
    const to = join(await temporaryDirectory(this.#t), 'restored')
    const { code, err } = await this.#school.ask('restore', uid, '--at', at, '--to', to)
    if (code !== 0) this.#t.fail(`restore of ${at}: ${err}`)
    return takeInventory(to)
  }
}
