import { RequestError } from '../../../core/api.js'

export type Direction = 'push' | 'pull'

/** Where a path of a laptop leads. */
export type Place = Live | Snapshot | Listing | Marker

/** What stands in a learner's own directory, below the name that was typed. */
interface Below {
  /** Names of directories and at last a file, below the place; empty for all of it. Pulls only. */
  readonly rest: readonly string[]
  /** The path ended with a slash: rsync means what is in the directory then, not the directory. */
  readonly slash: boolean
}

/** What the laptop sent last. */
export interface Live extends Below {
  readonly kind: 'datastore' | 'documents' | 'power-logs'
  /** As it was typed: rsync's client refuses a pull whose name comes back changed. */
  readonly name: string
}

/** The Journal as it was; pulls only. */
export interface Snapshot extends Below {
  readonly kind: 'snapshot'
  /** As commands print it. */
  readonly id: string
}

/** The names of the snapshots, as directories without content; pulls only. */
export interface Listing {
  readonly kind: 'snapshots'
}

/** The empty file that old laptops send when all else is done; pushes only. */
export interface Marker {
  readonly kind: 'marker'
  readonly serial: string
}

const live = new Map<string, Live['kind']>([
  ['datastore-current', 'datastore'],
  ['current', 'datastore'],
  ['documents', 'documents'],
  ['power-logs', 'power-logs'],
])

const marker = /^\/var\/lib\/ds-backup\/completion\/([A-Za-z0-9][A-Za-z0-9_-]{0,31})$/
const snapshotId = /^[A-Za-z0-9][A-Za-z0-9:_-]{0,39}$/
// No dot in front: neither "..", nor the names of files that programs keep to themselves.
const component = /^[A-Za-z0-9_][A-Za-z0-9_.,:+@=-]{0,254}$/

const longest = 1024

/**
 * Reads the path of a laptop's command. Names are those of docs/reference/protocols.md: backup, The transfer.
 * @throws RequestError REFUSED that lists what there is
 */
export function placeOf(path: string, direction: Direction): Place {
  if (path.length > longest) throw refused('the path is too long')
  const [, serial] = marker.exec(path) ?? []
  if (serial !== undefined) {
    if (direction === 'pull') throw refused('the marker can only be sent')
    return { kind: 'marker', serial }
  }
  const slash = path.endsWith('/')
  const [name = '', ...rest] = (slash ? path.slice(0, -1) : path).split('/')
  if (path.startsWith('/')) throw refused('the path is absolute')
  if (![name, ...rest].every((part) => component.test(part))) {
    throw refused('a name in the path is empty, begins with a dot, or holds characters that are not taken')
  }
  const kind = live.get(name)
  if (kind !== undefined) {
    if (direction === 'push' && rest.length > 0) throw refused(`only the whole of ${name} can be sent`)
    return { kind, name, rest, slash }
  }
  if (name !== 'snapshots') throw refused('there is no directory of this name')
  const [id, ...below] = rest
  if (direction === 'push') throw refused('snapshots cannot be changed')
  if (id === undefined) return { kind: 'snapshots' }
  if (!snapshotId.test(id)) throw refused('this is not the name of a snapshot')
  return { kind: 'snapshot', id, rest: below, slash }
}

const refused = (reason: string): RequestError =>
  new RequestError('REFUSED', reason, {
    hint: 'there are datastore-current, documents and power-logs; and to fetch, also snapshots/NAME; snapshots/ lists their names',
  })
