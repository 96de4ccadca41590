import { randomUUID } from 'node:crypto'
import { readFileSync } from 'node:fs'

let known: string | undefined

/**
 * A text that changes with each start of the machine (Linux: /proc/sys/kernel/random/boot_id), and is the same for all
 * that runs between. What was written and not flushed outlives a killed process, and not the machine. Where the kernel
 * does not tell it, it changes with each process.
 */
export function bootId(): string {
  known ??= readBootId() ?? randomUUID()
  return known
}

function readBootId(): string | undefined {
  try {
    const text = readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim()
    return /^[0-9a-f-]{36}$/.test(text) ? text : undefined
  } catch {
    return undefined
  }
}
