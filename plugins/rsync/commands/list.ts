import type { Call, Column } from '../../../core/api.js'
import type { Service } from '../service.js'

/** A module, as it is listed. */
interface Row {
  readonly name: string
  readonly path: string
  /** Who brought it: a plugin's name for builds, otherwise `operator`, `pub` or `plugin`. */
  readonly from: string
  /** Of builds: on disk, unpacked. */
  readonly bytes: number | null
  /** Of builds: ISO 8601, UTC. */
  readonly publishedAt: string | null
  readonly isThere: boolean
  readonly clients: readonly { readonly address: string; readonly since: string; readonly bytes: number }[]
}

const columns: readonly Column<Row>[] = [
  { title: 'MODULE', text: ({ name }) => name },
  { title: 'FROM', text: ({ from }) => from },
  { title: 'SIZE', text: ({ bytes }) => (bytes === null ? '' : `${Math.ceil(bytes / 1e6)} MB`) },
  { title: 'PUBLISHED (UTC)', text: ({ publishedAt }) => publishedAt?.slice(0, 16).replace('T', ' ') ?? '' },
  { title: 'DIRECTORY', text: ({ path, isThere }) => (isThere ? path : `${path} (is not there)`) },
  { title: 'NOW', text: ({ clients }) => sumOf(clients) },
]

/** Clients that are named one by one; more are counted. */
const named = 3

/** `10.0.0.1 10.0.0.2 10.0.0.3 and 45 more` */
function sumOf(clients: Row['clients']): string {
  const addresses = clients.slice(0, named).map(({ address }) => address)
  const others = clients.length - addresses.length
  return [...addresses, ...(others === 0 ? [] : [`and ${others} more`])].join(' ')
}

/** `rsync list`: modules, with who fetches them now, and builds that are missing. */
export async function list(
  { modules, builds, front }: Pick<Service, 'modules' | 'builds' | 'front'>,
  call: Call,
): Promise<void> {
  await modules.lookForWaysOut(call.signal)
  const gone = new Set(modules.gone().map(({ name }) => name))
  const { transfers } = front
  const served = modules.list().map(({ name, path }): Row => {
    const build = builds.list().find((one) => `build-${one.name}` === name)
    return {
      // A build is served by a path of its own, which means nothing to an operator.
      ...{ name, path: build?.path ?? path },
      from: build?.from ?? modules.originOf(name) ?? '',
      bytes: build?.bytes ?? null,
      publishedAt: build?.publishedAt ?? null,
      isThere: !gone.has(name),
      clients: transfers
        .filter(({ module }) => module === name)
        .map(({ address, since, bytes }) => ({ address, since: since.toISOString(), bytes })),
    }
  })
  const missing = builds.missing().map(({ name, path, from, bytes, publishedAt }): Row => {
    return { name: `build-${name}`, path, from, bytes, publishedAt, isThere: false, clients: [] }
  })
  const rows = [...served, ...missing].sort((a, b) => (a.name < b.name ? -1 : 1))
  call.list(rows, columns)
  for (const one of modules.notes()) call.note(one)
}
