import { setImmediate } from 'node:timers/promises'

/** Milliseconds for which laptops wait. */
const patience = 10

/**
 * Goes through many things with pauses, in which laptops are served. They come in turns, each of them a few milliseconds
 * long: a promise for each thing would cost more than most of what is done with it.
 */
export async function* calmly<T>(
  items: Iterable<T>,
  signal?: AbortSignal,
): AsyncGenerator<Iterable<T>, void> {
  const iterator = items[Symbol.iterator]()
  let over = false
  function* turn(): Generator<T, void> {
    const began = performance.now()
    do {
      const next = iterator.next()
      if (next.done) {
        over = true
        return
      }
      yield next.value
    } while (performance.now() - began < patience)
  }
  try {
    for (;;) {
      yield turn()
      if (over) return
      await setImmediate()
      signal?.throwIfAborted()
    }
  } finally {
    iterator.return?.()
  }
}
