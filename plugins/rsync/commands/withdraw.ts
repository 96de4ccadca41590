import { type Call, RequestError } from '../../../core/api.js'
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
  const build = builds.get(name) ?? builds.get(name.replace(/^build-/, ''))
  if (build === undefined) throw notOurs(name, modules.originOf(name) === 'pub')
  await builds.withdraw(build.name)
  print(`the build ${build.name} is removed`)
  if (build.from === 'rsync') {
    note('it comes again with the next refresh: remove its .name from rsync-packed to have it stay away')
  }
}

const notOurs = (name: string, isBelowPub: boolean): RequestError =>
  isBelowPub
    ? new RequestError('REFUSED', `${name} is a directory below pub, and published by that`, {
        hint: 'move the directory away',
      })
    : new RequestError('NOT_FOUND', `nothing is published as ${name}`, { hint: 'rsync list shows what is' })
