import { accessSync, constants, statSync } from 'node:fs'
import { join } from 'node:path'
import type { Test } from 'tap'

/**
 * Looks for a program that a test cannot do without.
 *
 * Where it is missing the test is skipped by name, with what to install; where the project is built (`CI=true`)
 * that is a failure, so that nothing is skipped for ever unseen.
 * @returns whether it is there; a test goes on only then
 */
export function needs(t: Pick<Test, 'fail' | 'pass'>, program: string, debianPackage: string): boolean {
  if (onPath(program)) return true
  lacks(t, `needs ${program}`, `${program} is not installed (apt-get install ${debianPackage})`)
  return false
}

/** Skips a test by name for want of something that is no program. */
export function lacks(t: Pick<Test, 'fail' | 'pass'>, name: string, reason: string): void {
  if (process.env.CI === 'true') t.fail(reason)
  else t.pass(name, { skip: reason })
}

function onPath(program: string): boolean {
  return (process.env.PATH ?? '').split(':').some((folder) => {
    try {
      const file = join(folder, program)
      accessSync(file, constants.X_OK)
      return folder !== '' && statSync(file).isFile()
    } catch {
      return false
    }
  })
}
