import { join } from 'node:path'
import type { Logger } from '../../core/api.js'
import { Archivist } from '../../plugins/backup/archive/archivist.js'
import { median } from '../support/process.js'
import { say } from '../support/words.js'
import type { Stage } from './stage.js'

const page = 100
const words = ['a', 'the', 'my', 'paint', 'org.laptop', 'music', 'about']

/** What is in a large Journal: the first page of all, and of what is found. */
export async function search(stage: Stage): Promise<void> {
  await stage.sent()
  const { uid } = await stage.owner()
  const log = { error: (...told: unknown[]) => console.error(...told) } as unknown as Logger
  const archivist = new Archivist(join(stage.school.root, 'backup'), log, () => () => undefined)
  const ask = (text: string) => archivist.run('entries', { uid, query: { text, limit: page } })
  try {
    const cold = await time(() => ask(''))
    const all: number[] = []
    const found: number[] = []
    for (const word of words) {
      all.push(await time(() => ask('')))
      found.push(await time(() => ask(word)))
    }
    const [one, other] = [median(all), median(found)]
    say(
      'search',
      `first page of 2,000 entries ${one.toFixed(1)} ms, found by words ${other.toFixed(1)} ms  (under 100)`,
    )
    say(
      'also',
      `the first question of all, which starts the process and reads the snapshot: ${cold.toFixed(0)} ms`,
    )
  } finally {
    await archivist.close()
  }
  const whole: number[] = []
  for (const text of words)
    whole.push(await time(() => stage.school.command('entries', { user: uid }, { at: '', search: text })))
  say('also', `"backup entries --search" in the running server, all pages: ${median(whole).toFixed(1)} ms`)
}

async function time(what: () => Promise<unknown>): Promise<number> {
  const began = performance.now()
  await what()
  return performance.now() - began
}
