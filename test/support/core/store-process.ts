/**
 * A process that keeps papers in a NeDB store, for tests that kill it or make its disk fail. It says on standard
 * output, a line each, what the store acknowledged.
 *
 * store-process.js <how> <folder> <prefix> <count>
 */
import { writeSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { pino } from 'pino'
import { NedbStore } from '../../../core/store/nedb/store.js'

const [, , how = '', folder = '', prefix = '', count = '0'] = process.argv
const say = (line: string): void => void writeSync(1, `${line}\n`)

interface Paper {
  id: string
  text?: string
}

const store = new NedbStore(folder, pino({ level: 'silent' }))
const papers = await store.open<Paper>('test/papers', { key: 'id' })
say('open')

const codeOf = (error: unknown): string => (error as { code?: string }).code ?? String(error)

const listing = (): Promise<string> =>
  papers.find({}).then((docs) => docs.map(({ id, rev }) => `${id}@${rev}`).join(' '), codeOf)

async function insert(id: string): Promise<void> {
  try {
    await papers.insert({ id, text: id.repeat(20) })
    say(`kept ${id}`)
  } catch (error) {
    say(`refused ${id} ${codeOf(error)}`)
  }
}

const tasks: Record<string, () => Promise<void>> = {
  /** One after the other. */
  async sequence() {
    for (let n = 0; n < Number(count); n += 1) await insert(`${prefix}${n}`)
  },
  /** All at once. */
  async crowd() {
    await Promise.all(Array.from({ length: Number(count) }, (_, n) => insert(`${prefix}${n}`)))
  },
  /** Until somebody kills it: inserts, and updates whose body passes through compactions. */
  async forever() {
    await papers.insert({ id: `${prefix}-large` })
    const grow = async () => {
      for (let rev = 1; ; rev += 1) {
        await papers.update(`${prefix}-large`, rev, { text: `${rev}`.padEnd(200_000, 'x') })
        say(`rev ${rev + 1}`)
      }
    }
    const fill = async (lane: number) => {
      for (let n = 0; ; n += 1) await insert(`${prefix}-${lane}-${n}`)
    }
    await Promise.all([grow(), fill(1), fill(2), fill(3)])
  },
  /** A write, one whose sync fails, and what the store says from then on. */
  async failing() {
    await insert('first')
    await insert('second')
    await papers.update('second', 1, { text: 'changed' }).then(
      () => say('kept change'),
      (error) => say(`refused change ${codeOf(error)}`),
    )
    await insert('third')
    // While memory is brought back to what the disk holds, a read of it may fail.
    let found = await listing()
    for (let tries = 0; tries < 100 && found === 'STORE_READ_ONLY'; tries += 1) {
      await sleep(50)
      found = await listing()
    }
    say(`found ${found}`)
    say(`count ${await papers.count({})}`)
    say(`third ${JSON.stringify(await papers.get('third'))}`)
    // Longer than a full disk would take to be tried again.
    await sleep(1500)
    await insert('fourth')
    say(`status ${store.status().readOnly === undefined ? 'writable' : 'read-only'}`)
  },
}

await tasks[how]?.()
await store.close()
