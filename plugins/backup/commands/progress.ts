import type { Call } from '../../../core/api.js'
import type { Asking } from '../archive/archivist.js'
import { amount } from './text.js'

/** Milliseconds between two lines. */
const between = 2000

/** Says how long work goes on, in a line now and then, and lets the person at the command line give it up. */
export function telling({ note, signal }: Pick<Call, 'note' | 'signal'>, what: string): Asking {
  let told = Date.now()
  return {
    signal,
    progress(files, bytes) {
      if (Date.now() - told < between) return
      told = Date.now()
      note(`${what}: ${files} files, ${amount(bytes)} ...`)
    },
  }
}
