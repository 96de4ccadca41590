import { RequestError } from '../../../core/api.js'
import type { BuildDoc } from '../documents.js'
import { isAlike } from '../modules/names.js'
import { buildName } from '../public.js'
import { shown } from '../unpack/refusal.js'

/** @throws RequestError REQUEST_INVALID */
export function checkName(name: string): void {
  if (buildName.test(name)) return
  throw new RequestError('REQUEST_INVALID', `a build cannot be called ${shown(name)}`, {
    hint: 'use 1 to 64 letters, digits, and . _ + - behind the first',
  })
}

/** Sees that rsync takes no other build for this one. @throws RequestError REFUSED */
export function checkAlone(name: string, builds: readonly BuildDoc[]): void {
  const other = builds.find((build) => build.name !== name && isAlike(build.name, name))
  if (other === undefined) return
  throw new RequestError(
    'REFUSED',
    `the build ${name} cannot be published beside ${other.name}: rsync takes both names for one`,
    { hint: `call it otherwise, or run "sugar-server rsync withdraw ${other.name}" first` },
  )
}
