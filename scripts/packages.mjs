// System packages: installed where that may be done, else the line to type is said.
import { spawnSync } from 'node:child_process'
import { accessSync, constants } from 'node:fs'
import { join } from 'node:path'

function has(program) {
  // Daemons lie where the PATH of a user often does not lead.
  for (const folder of [...(process.env.PATH ?? '').split(':'), '/usr/sbin']) {
    try {
      accessSync(join(folder, program), constants.X_OK)
      return true
    } catch {
      // Not here.
    }
  }
  return false
}

const installed = (name) => spawnSync('dpkg', ['-s', name], { stdio: 'ignore' }).status === 0

/** The Debian packages of those programs that are missing. @param programs the packages that bring them, by name */
export const missingPackages = (programs) => [
  ...new Set(Object.entries(programs).flatMap(([program, debian]) => (has(program) ? [] : [debian]))),
]

/**
 * Installs what is missing, as root on a Debian.
 * @param otherwise what to say in front of the line to type, where it cannot be done
 * @param programs the Debian packages that bring them, by name
 * @param libraries packages without a program
 */
export function installPackages(otherwise, programs, libraries = []) {
  const missing = new Set([
    ...missingPackages(programs),
    ...(has('dpkg') ? libraries.filter((library) => !installed(library)) : []),
  ])
  if (missing.size === 0) return
  if (process.getuid?.() !== 0 || !has('apt-get')) {
    console.error(`${otherwise}: apt-get install ${[...missing].join(' ')}`)
    return
  }
  console.error(`installing ${[...missing].join(' ')} ...`)
  // On standard error: standard output is the server's.
  const options = { stdio: ['ignore', 2, 2], env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' } }
  spawnSync('apt-get', ['update', '-q'], options)
  spawnSync('apt-get', ['install', '-qy', '--no-install-recommends', ...missing], options)
}
