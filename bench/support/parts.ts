import { existsSync } from 'node:fs'
import { loadavg, tmpdir } from 'node:os'
import { parseArgs } from 'node:util'
import { inSeconds, say } from './words.js'

/** A part of a bench: measures, and says what it found. */
export type Part<S> = (stage: S) => Promise<void>

/** What was typed: which parts, how often, and where it is written; all of them, and memory, when not said. */
export interface Typed<N extends string> {
  readonly chosen: readonly N[]
  readonly rounds: number
  readonly where: string
}

const memory = '/dev/shm'

/** Reads the command line of a bench that has parts; ends the process where it makes no sense. */
export function typed<N extends string>(bench: string, names: readonly N[], usual: number): Typed<N> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { dir: { type: 'string' }, rounds: { type: 'string', default: String(usual) } },
  })
  const rounds = Number(values.rounds)
  if (positionals.some((name) => !names.includes(name as N)) || !(rounds >= 1)) {
    console.error(
      `usage: npm run bench -- ${bench} [${names.join(' | ')}] [--dir DIRECTORY] [--rounds ${usual}]`,
    )
    process.exit(64)
  }
  return {
    chosen: names.filter((name) => positionals.length === 0 || positionals.includes(name)),
    rounds,
    where: values.dir ?? (existsSync(memory) ? memory : tmpdir()),
  }
}

/** Plays parts on a stage, and takes it down whatever happens. @param last says what is known at the end */
export async function play<S extends { close(): Promise<void> }>(
  stage: S,
  where: string,
  parts: readonly Part<S>[],
  last: () => void = () => undefined,
): Promise<void> {
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, async () => {
      await stage.close()
      process.exit(1)
    })
  }
  const began = performance.now()
  const load = () => loadavg()[0]?.toFixed(1)
  say('where', `${where}; load ${load()}`)
  try {
    for (const part of parts) await part(stage)
  } finally {
    await stage.close()
  }
  last()
  say('took', `${inSeconds((performance.now() - began) / 1000)}; load ${load()}`)
}
