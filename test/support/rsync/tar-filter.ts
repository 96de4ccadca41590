import type { Ownership } from '../../../plugins/rsync/unpack/entry.js'
import { Filter, type FilterSpec } from '../../../plugins/rsync/unpack/filter.js'
import { limitsOf } from '../../../plugins/rsync/unpack/limits.js'

export interface Filtered {
  readonly filter: Filter
  readonly out: Buffer
  readonly owned: ReadonlyMap<string, Ownership>
}

/** Sends chunks through a filter. @throws what it throws */
export function filtered(chunks: Iterable<Buffer>, spec: Partial<FilterSpec> = {}): Filtered {
  const owned = new Map<string, Ownership>()
  const filter = new Filter({
    limits: limitsOf(1e9),
    owners: 'attributes',
    size: Number.MAX_SAFE_INTEGER,
    own: (path, one) => owned.set(path, one),
    ...spec,
  })
  const out: Buffer[] = []
  for (const chunk of chunks) filter.read(chunk, out)
  filter.end(out)
  return { filter, out: Buffer.concat(out), owned }
}
