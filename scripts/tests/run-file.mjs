// Runs one test file as `node FILE`, within bounds of time and of output.
import { spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { endAll, endLeftovers, mark } from './processes.mjs'
import { Verdict } from './verdict.mjs'

/** More TAP than this and the file is ended. */
const mostTap = 16 * 1024 * 1024
/** Of standard error, the beginning and the end are kept: so many bytes each. */
const mostErrors = 32 * 1024
/** How long processes that a file started may outlive it, in milliseconds. */
const leftoverPatience = 3000

/**
 * @typedef {object} FileResult
 * @property {string} file
 * @property {number} seconds
 * @property {number} passed assertions
 * @property {number} failed assertions; at least 1 when the file failed in any way
 * @property {number} skipped
 * @property {{ name: string, reason: string }[]} skips
 * @property {string[]} faults what went wrong besides failed assertions
 * @property {string[]} leftovers programs that it left running, and that were killed
 * @property {string} tap what it wrote to standard output
 * @property {string} errors what it wrote to standard error, without the middle when that is long
 */

/**
 * Runs one test file, with no standard input, in a process group of its own.
 * @param file the path of a JavaScript file that prints TAP
 * @param options.deadline milliseconds, after which it is killed with everything it started
 * @param options.signal ends it early
 * @returns {Promise<FileResult>} never rejects
 */
export async function runFile(file, { deadline, env = process.env, signal }) {
  const began = performance.now()
  const id = randomUUID()
  const verdict = new Verdict()
  const faults = []
  const tap = []
  const errors = new Ends(mostErrors)
  let bytes = 0
  const child = spawn(process.execPath, [file], {
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...env, [mark]: id },
  })
  let stopping
  const stop = (fault) => {
    if (stopping !== undefined) return
    faults.push(fault)
    stopping = child.pid === undefined ? Promise.resolve() : endAll(child.pid, id)
  }
  child.stdout.on('data', (chunk) => {
    bytes += chunk.length
    if (bytes > mostTap) return stop(`printed more than ${mostTap / 1024 / 1024} MB, and was ended`)
    tap.push(chunk)
    verdict.write(chunk)
  })
  child.stderr.on('data', (chunk) => errors.add(chunk))
  const timer = setTimeout(
    () => stop(`had not ended after ${Math.round(deadline / 1000)} s, and was ended`),
    deadline,
  )
  const interrupted = () => stop('was interrupted')
  signal?.addEventListener('abort', interrupted)
  const [code, killer] = await new Promise((resolve) => {
    child.once('exit', (...how) => resolve(how))
    child.once('error', (error) => {
      faults.push(error.message)
      resolve([undefined, null])
    })
  })
  clearTimeout(timer)
  signal?.removeEventListener('abort', interrupted)
  await stopping
  const leftovers = child.pid === undefined ? [] : await endLeftovers(child.pid, id, leftoverPatience)
  await Promise.all([child.stdout, child.stderr].map(ended))
  const wrong = verdict.end()
  if (faults.length === 0) {
    if (killer !== null) faults.push(`was ended by ${killer}`)
    else if (code !== 0 && verdict.failed === 0) faults.push(`ended with exit code ${code}`)
    faults.push(...wrong)
  }
  const { passed, skipped, skips } = verdict
  return {
    file,
    seconds: (performance.now() - began) / 1000,
    passed,
    failed: Math.max(verdict.failed, faults.length > 0 ? 1 : 0),
    skipped,
    skips,
    faults,
    leftovers,
    tap: Buffer.concat(tap).toString(),
    errors: errors.text(),
  }
}

/** Waits until a stream has given its last byte; but not for one that a process out of reach keeps open. */
function ended(stream) {
  return new Promise((resolve) => {
    if (stream.readableEnded || stream.destroyed) return resolve()
    const timer = setTimeout(() => {
      stream.destroy()
      resolve()
    }, 2000)
    stream.once('close', () => {
      clearTimeout(timer)
      resolve()
    })
  })
}

/** Keeps the beginning and the end of what may be long. */
class Ends {
  #head = []
  #tail = []
  #room
  #length = 0
  #dropped = 0

  constructor(bytes) {
    this.#room = bytes
  }

  add(chunk) {
    const head = chunk.subarray(0, this.#room)
    if (head.length > 0) this.#head.push(head)
    this.#room -= head.length
    if (head.length === chunk.length) return
    this.#tail.push(chunk.subarray(head.length))
    this.#length += chunk.length - head.length
    while (this.#length - this.#tail[0].length > mostErrors) {
      const gone = this.#tail.shift().length
      this.#length -= gone
      this.#dropped += gone
    }
  }

  text() {
    const [head, tail] = [this.#head, this.#tail].map((chunks) => Buffer.concat(chunks).toString())
    return this.#dropped === 0 ? head + tail : `${head}\n... ${this.#dropped} bytes left out ...\n${tail}`
  }
}
