import { RequestError, SugarError, systemCode } from '../../core/api.js'

/** A full disk, in words for whoever asked for a build; undefined for whatever else went wrong. */
export function fullDisk(thrown: unknown): RequestError | undefined {
  const isFull =
    ['ENOSPC', 'EDQUOT'].includes(systemCode(thrown) ?? '') ||
    (thrown instanceof SugarError && !(thrown instanceof RequestError) && thrown.code === 'NO_SPACE')
  if (!isFull) return undefined
  return new RequestError('NO_SPACE', 'the disk of the server is full', { cause: thrown })
}
