import { join } from 'node:path'
import { type Call, RequestError } from '../../../core/api.js'
import type { Service } from '../service.js'
import { fetchedBuild } from './build.js'

type Naming = Pick<Call, 'print'> & { args: { name: string } }

/** `upgrade stick NAME`: keeps a build whatever the limit says. */
export async function stick(
  service: Pick<Service, 'builds' | 'fetches' | 'uses'>,
  { args: { name }, print }: Naming,
): Promise<void> {
  fetchedBuild(service, name)
  await service.uses.stick(name, true)
  print(`build-${name} stays, until "upgrade unstick ${name}"`)
}

/** `upgrade unstick NAME`: lets it go when it is its turn. */
export async function unstick(
  service: Pick<Service, 'builds' | 'fetches' | 'uses' | 'collector'>,
  { args: { name }, print }: Naming,
): Promise<void> {
  const build = fetchedBuild(service, name)
  await service.uses.stick(name, false)
  const why = await service.collector.stuck(build)
  if (why !== undefined) {
    const hint = `remove ${join(build.path, 'sticky')}, too`
    throw new RequestError('REFUSED', `build-${name} stays all the same: ${why}`, { hint })
  }
  print(`build-${name} goes when it is its turn`)
}

/** `upgrade remove NAME`: removes a build that nobody fetches now, or forgets one that is missing. */
export async function remove(
  service: Pick<Service, 'builds' | 'fetches' | 'collector'>,
  { args: { name }, print }: Naming,
): Promise<void> {
  fetchedBuild(service, name)
  const isMissing = service.builds.get(name) === undefined
  await service.collector.remove(name)
  print(`build-${name} is ${isMissing ? 'forgotten: it was missing' : 'removed'}`)
}
