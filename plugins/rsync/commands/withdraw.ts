import { type Call, RequestError } from '../../../core/api.js'
import type { Origin } from '../modules/registry.js'
import type { Build } from '../public.js'
import type { Service } from '../service.js'

/** `rsync withdraw NAME`: of a module or build. Transfers under way go on. */
export async function withdraw(
  { modules, builds, log }: Pick<Service, 'modules' | 'builds' | 'log'>,
  { args, print, note }: Pick<Call, 'print' | 'note'> & { args: { name: string } },
): Promise<void> {
  const { name } = args
  if (await modules.withdrawDirectory(name)) {
    log.info({ module: name }, `${name} was withdrawn`)
    print(`${name} is no longer published; the directory is as it was`)
    return
  }
  const build = called(name, builds.list()) ?? called(name, builds.missing())
  if (build === undefined) throw notOurs(name, modules.get(name)?.path, modules.originOf(name))
  const fetching = modules.active(`build-${build.name}`)
  const fetchingAll = modules.active('builds')
  const isMissing = builds.get(build.name) === undefined
  await builds.withdraw(build.name)
  print(`the build ${build.name} is ${isMissing ? 'forgotten: it was missing' : 'removed'}`)
  if (fetching > 0) note(`${clients(fetching)} fetching it, and will get the whole of it`)
  if (fetchingAll > 0) note(`${clients(fetchingAll)} fetching from "builds", where it is missing from now on`)
  if (build.from === 'rsync') {
    note('it comes again with the next refresh: remove its .name from rsync-packed to have it stay away')
  }
}

/** Of some builds, the one that an operator may call so. */
const called = (name: string, builds: readonly Build[]): Build | undefined =>
  builds.find((build) => build.name === name) ?? builds.find((build) => `build-${build.name}` === name)

const clients = (count: number): string => (count === 1 ? '1 client is' : `${count} clients are`)

function notOurs(name: string, path: string | undefined, origin: Origin | undefined): RequestError {
  if (path === undefined) {
    return new RequestError('NOT_FOUND', `nothing is published as ${name}`, {
      hint: '"sugar-server rsync list" lists what is',
    })
  }
  return origin === 'pub'
    ? new RequestError('REFUSED', `${name} is published because it lies below pub`, {
        hint: `move ${path} away`,
      })
    : new RequestError('REFUSED', `${name} is published by a plugin, for as long as the server runs`)
}
