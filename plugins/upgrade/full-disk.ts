import { diskFault, RequestError } from '../../core/api.js'

/** A full disk, in words for whoever asked for a build; undefined for whatever else went wrong. */
export function fullDisk(thrown: unknown): RequestError | undefined {
  if (thrown instanceof RequestError || diskFault(thrown) !== 'full') return undefined
  return new RequestError('NO_SPACE', 'the disk of the server is full', { cause: thrown })
}

/** A failing disk, in words for a laptop that waits for a build; undefined for whatever else went wrong. */
export function failingDisk(thrown: unknown): RequestError | undefined {
  if (thrown instanceof RequestError || diskFault(thrown) !== 'failing') return undefined
  return new RequestError('DISK_FAILING', 'the disk of the server is failing: tell the operator', {
    cause: thrown,
  })
}
