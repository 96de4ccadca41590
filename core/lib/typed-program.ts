import { existsSync, realpathSync } from 'node:fs'
import { delimiter, isAbsolute, join } from 'node:path'
import { fileURLToPath } from 'node:url'

/** Where a build has this package's programs, by the names under which they are installed. */
const folder = fileURLToPath(new URL('../../bin', import.meta.url))

/** A word as a shell takes it. */
export const quoted = (word: string): string =>
  /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`

/**
 * How one of this package's programs is typed, in any directory: by its name where the shell finds this very program by
 * it, else by its path. Never by way of npx: in another directory that would fetch a package of the name from a registry.
 */
export function typedProgram(name: string): string {
  const program = join(folder, name)
  if (!existsSync(program)) return name
  const found = (process.env.PATH ?? '')
    .split(delimiter)
    // npm puts its own folders in front for what it starts, and the shell of who types has them not.
    .filter((place) => isAbsolute(place) && !place.endsWith('/node_modules/.bin'))
    .map((place) => join(place, name))
    .find((file) => existsSync(file))
  return found !== undefined && realpathSync(found) === realpathSync(program) ? name : quoted(program)
}

/** Words for a person, with the commands in double quotes as they can be typed here. */
export const withTypedCommands = (text: string): string =>
  text.replace(/(?<!\\)"(sugar-server)(?=[ "])/g, (_, name: string) => `"${typedProgram(name)}`)
