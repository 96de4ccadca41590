import { existsSync, realpathSync } from 'node:fs'
import { delimiter, isAbsolute, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const program = fileURLToPath(new URL('../bin/sugaroid', import.meta.url))

/** How sugaroid is typed, in any directory: by its name where the shell finds this very program by it, else by its path. */
function typed(): string {
  if (!existsSync(program)) return 'sugaroid'
  const found = (process.env.PATH ?? '')
    .split(delimiter)
    .filter((folder) => isAbsolute(folder) && !folder.endsWith('/node_modules/.bin'))
    .map((folder) => join(folder, 'sugaroid'))
    .find((file) => existsSync(file))
  if (found !== undefined && realpathSync(found) === realpathSync(program)) return 'sugaroid'
  return /^[\w@%+=:,./-]+$/.test(program) ? program : `'${program.replaceAll("'", "'\\''")}'`
}

/** Words for a person, with the commands in double quotes as they can be typed here. */
export const withTypedCommands = (text: string): string =>
  text.replace(/"sugaroid(?=[ "])/g, () => `"${typed()}`)
