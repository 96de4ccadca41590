import { constants } from 'node:fs'
import { access, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { Settings } from './config/settings.js'
import { type SugarError, SystemError } from './errors.js'

/** Something a plugin's machine must have. Asked before prepare(), and by `sugar-server check`. */
export interface Probe {
  /** What is looked for, for people: "the program rsync". */
  readonly what: string
  /** The plugin runs without: a start only warns of it. */
  readonly advice?: true
  /** @returns what is wrong, or undefined when all is well */
  look(settings: Settings): Promise<SugarError | undefined>
  /** @returns what is here, for `check` to say: "rsync 3.5.0" */
  tell?(): Promise<string | undefined>
}

/**
 * A program on the PATH.
 * @param detail.package the Debian package that brings it
 */
export function program(name: string, detail: { package: string }): Probe {
  return {
    what: `the program ${name}`,
    look: () => missing(name, detail),
  }
}

/** @returns undefined when a program is on the PATH */
export async function missing(name: string, detail: { package: string }): Promise<SystemError | undefined> {
  for (const folder of (process.env.PATH ?? '').split(':')) {
    if (folder !== '' && (await isExecutable(join(folder, name)))) return undefined
  }
  return new SystemError('PROGRAM_MISSING', `the program ${name} is not installed`, {
    hint: `install the package ${detail.package}: apt-get install ${detail.package}`,
  })
}

/** A directory, named by an option, that can be written or made. */
export function writable(option: string): Probe {
  return {
    what: `a writable ${option}`,
    async look(settings) {
      const wanted = String(settings.get(option))
      const found = await nearest(wanted)
      try {
        await access(found, constants.W_OK | constants.X_OK)
        if ((await stat(found)).isDirectory()) return undefined
      } catch {
        // Told below, together with "not a directory".
      }
      return new SystemError('NOT_WRITABLE', `${option}: cannot write ${wanted}`, {
        hint: `give this user the directory ${found}, or set ${option} to another`,
      })
    },
  }
}

async function isExecutable(path: string): Promise<boolean> {
  try {
    await access(path, constants.X_OK)
    return (await stat(path)).isFile()
  } catch {
    return false
  }
}

/** The path itself, or the closest folder above it that exists. */
async function nearest(path: string): Promise<string> {
  try {
    await stat(path)
    return path
  } catch {
    const above = dirname(path)
    return above === path ? path : nearest(above)
  }
}
