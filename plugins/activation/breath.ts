import { setImmediate } from 'node:timers/promises'

/** Milliseconds for which laptops wait. */
const patience = 10

/** Goes through many things with pauses, in which laptops are served. */
export async function* calmly<T>(items: Iterable<T>, signal?: AbortSignal): AsyncGenerator<T, void> {
  let rested = performance.now()
  for (const item of items) {
    yield item
    if (performance.now() - rested < patience) continue
    await setImmediate()
    signal?.throwIfAborted()
    rested = performance.now()
  }
}
