import { RequestError } from '../../../core/api.js'
import { type Build, buildName } from '../../rsync/public.js'
import type { Service } from '../service.js'

/** @throws RequestError when it is no name of a build */
export function checkName(name: string): void {
  if (buildName.test(name)) return
  throw new RequestError('REQUEST_INVALID', `"${name}" is no name of a build`, {
    hint: 'write it without "build-": letters, digits, and . _ + - behind the first, 64 at most',
  })
}

/** A build that was fetched; it may be missing. @throws RequestError when it was not */
export function fetchedBuild({ builds, fetches }: Pick<Service, 'builds' | 'fetches'>, name: string): Build {
  checkName(name)
  const build = builds.get(name) ?? builds.missing().find((one) => one.name === name)
  if (build === undefined) {
    const under = fetches.get(name)
    throw new RequestError('NOT_FOUND', `build-${name} ${under?.words ?? 'is not here'}`, {
      hint: '"upgrade list" tells what is',
    })
  }
  if (build.from === 'upgrade') return build
  throw new RequestError('REFUSED', `build-${name} was not fetched: it stays as long as it is published`, {
    hint: `"rsync withdraw ${name}" removes it`,
  })
}
