import { chmodSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Owner } from '../core/server-process.js'
import { temporaryDirectory } from '../temporary-directory.js'

/** The program that flushes, in the place of coreutils' own: the disk takes what is sent when the test says so. */
export interface SlowSync {
  /** The environment in which a server finds it. */
  readonly env: { readonly PATH: string }
  hold(): void
  release(): void
  /** What it says of the disk; undefined: all is well. */
  fault(said: string | undefined): void
  /** Flushes that a process has begun, and ended. */
  begun(parent: number | undefined): number
  ended(parent: number | undefined): number
}

export async function slowSync(t: Owner): Promise<SlowSync> {
  const folder = await temporaryDirectory(t)
  const at = (name: string) => join(folder, name)
  mkdirSync(at('bin'))
  const program = `#!/bin/sh
echo "begin $PPID" >> '${at('log')}'
while [ -e '${at('hold')}' ]; do sleep 0.05; done
if [ -e '${at('fault')}' ]; then cat '${at('fault')}' >&2; exit 1; fi
PATH='${process.env.PATH}' sync "$@" || exit $?
echo "end $PPID" >> '${at('log')}'
`
  writeFileSync(at('bin/sync'), program)
  chmodSync(at('bin/sync'), 0o755)
  writeFileSync(at('log'), '')
  const count = (line: string) =>
    readFileSync(at('log'), 'latin1')
      .split('\n')
      .filter((one) => one === line).length
  return {
    env: { PATH: `${at('bin')}:${process.env.PATH}` },
    hold: () => writeFileSync(at('hold'), ''),
    release: () => rmSync(at('hold'), { force: true }),
    fault(said) {
      if (said !== undefined) writeFileSync(at('fault'), said)
      else if (existsSync(at('fault'))) rmSync(at('fault'))
    },
    begun: (parent) => count(`begin ${parent}`),
    ended: (parent) => count(`end ${parent}`),
  }
}
