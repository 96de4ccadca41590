import { posix } from 'node:path'
import { buildName } from '../../rsync/public.js'

/** Characters that are looked at: a client says what it likes. */
const longest = 8192

/**
 * The builds that a client of the module `builds` asks for.
 * @param paths as rsync logs them: `builds/885/root/`, with blanks between
 * @returns their names, or `all`
 */
export function buildsIn(paths: string): ReadonlySet<string> | 'all' {
  const names = new Set<string>()
  for (const path of paths.slice(0, longest).split(/\s+/)) {
    const [module, name = ''] = posix.normalize(path).split('/')
    if (module !== 'builds') continue
    // A pattern may stand for any of them.
    if (!buildName.test(name)) return 'all'
    names.add(name)
  }
  return names
}
