import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import t from 'tap'

interface Entry {
  readonly version?: string
  readonly link?: boolean
  readonly dependencies?: Record<string, string>
  readonly optionalDependencies?: Record<string, string>
}
type Packages = Record<string, Entry>

const read = (name: string) =>
  JSON.parse(readFileSync(fileURLToPath(new URL(`../../../${name}`, import.meta.url)), 'utf8'))

/** What entries of a lock file name and it has no entry for, from where Node would look for it. */
function missingIn(packages: Packages): string[] {
  const isFound = (from: string, name: string): boolean => {
    if (packages[`${from === '' ? '' : `${from}/`}node_modules/${name}`] !== undefined) return true
    return from !== '' && isFound(from.slice(0, Math.max(0, from.lastIndexOf('node_modules/') - 1)), name)
  }
  return Object.entries(packages).flatMap(([from, { dependencies, optionalDependencies }]) =>
    Object.keys({ ...dependencies, ...optionalDependencies })
      .filter((name) => !isFound(from, name))
      .map((name) => `${from || 'package.json'} names ${name}`),
  )
}

t.test('the lock file has every package that it names, of every platform', async (t) => {
  const { packages } = read('package-lock.json') as { packages: Packages }
  t.same(missingIn(packages), [], 'else: npm install --package-lock-only, where all of them can be had')
  const optional = Object.values(packages).flatMap((entry) => Object.keys(entry.optionalDependencies ?? {}))
  t.ok(optional.length > 20, 'those of other platforms among them')
  const { dependencies, devDependencies, engines } = read('package.json')
  t.match(packages[''], { dependencies, devDependencies, engines }, 'and is that of this package')

  // What a mirror that lacks one would have made of it.
  const [first = ''] = optional.filter((name) => packages[`node_modules/${name}`] !== undefined)
  const { [`node_modules/${first}`]: _, ...rest } = packages
  t.match(missingIn(rest), [new RegExp(` names ${first}$`)])
})
