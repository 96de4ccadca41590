// Ends a test file with everything it started, also what went into a process group of its own.
import { readdirSync, readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'

/** The environment variable that every process of a test file inherits. */
export const mark = 'SUGAR_TEST_FILE'

const read = (path) => {
  try {
    return readFileSync(path, 'latin1')
  } catch {
    return '' // It has gone, or belongs to another user.
  }
}

/**
 * Which processes a test file has now: its own process group, those that carry its mark, and their descendants.
 * @param leader the pid of the test file, which leads a process group
 * @param id the value of its mark
 * @returns pid and program of each, without zombies
 */
export function processesOf(leader, id) {
  const all = []
  for (const pid of readdirSync('/proc')) {
    if (!/^\d+$/.test(pid)) continue
    // pid (program) state parent group: the program may hold blanks and brackets.
    const fields = /^\d+ \((.*)\) (\S) (\d+) (\d+) /s.exec(read(`/proc/${pid}/stat`))
    if (fields === null || fields[2] === 'Z' || fields[2] === 'X') continue
    const [, program, , parent, group] = fields
    all.push({ pid: Number(pid), program, parent: Number(parent), group: Number(group) })
  }
  const own = new Set()
  for (const { pid, group } of all) {
    if (pid === process.pid) continue
    if (group === leader || `\0${read(`/proc/${pid}/environ`)}`.includes(`\0${mark}=${id}\0`)) own.add(pid)
  }
  for (let before = -1; before !== own.size; ) {
    before = own.size
    for (const { pid, parent } of all) if (own.has(parent)) own.add(pid)
  }
  return all.filter(({ pid }) => own.has(pid)).map(({ pid, program }) => ({ pid, program }))
}

/** Kills all processes of a test file, until none is left. */
export async function endAll(leader, id) {
  for (let tries = 0; tries < 200; tries += 1) {
    const left = processesOf(leader, id)
    if (left.length === 0) return
    for (const { pid } of left) {
      try {
        process.kill(pid, 'SIGKILL')
      } catch {
        // It has gone by itself.
      }
    }
    await sleep(10)
  }
}

/**
 * Waits until no process of a file that has ended is left, and kills what stays.
 * @param patience milliseconds
 * @returns the programs that had to be killed
 */
export async function endLeftovers(leader, id, patience) {
  const deadline = performance.now() + patience
  for (;;) {
    const left = processesOf(leader, id)
    if (left.length === 0) return []
    if (performance.now() > deadline) {
      await endAll(leader, id)
      return left.map(({ program }) => program)
    }
    await sleep(50)
  }
}
