#!/usr/bin/env node
// A remote shell for rsync's -e, in the place of an ssh that cannot use the laptop's key. Its arguments are ssh's.
import { fstatSync } from 'node:fs'
import { Socket } from 'node:net'
import type { Writable } from 'node:stream'
import { finished } from 'node:stream/promises'
import { printable } from '../printable.js'
import { runShell } from '../ssh/client.js'
import { parseShellCall } from '../ssh/command-line.js'

/** ssh's own failures, as ssh ends of them. */
const failed = 255

/**
 * Standard output whose reader may be slow without blocking what comes from it: an rsync that waits until it is read
 * reads nothing meanwhile. process.stdout would block.
 */
function output(): Writable {
  const about = fstatSync(1)
  if (!about.isFIFO() && !about.isSocket()) return process.stdout
  return new Socket({ fd: 1, readable: false, writable: true })
}

try {
  const stdout = output()
  const call = parseShellCall(process.argv.slice(2))
  const code = await runShell(call, { input: process.stdin, output: stdout, errors: process.stderr })
  if (stdout !== process.stdout) await finished(stdout.end()).catch(() => undefined)
  process.exit(code)
} catch (error) {
  process.stderr.write(`${printable(error instanceof Error ? error.message : String(error))}\n`)
  process.exit(failed)
}
