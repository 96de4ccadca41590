import type { Call, Column } from '../../../core/api.js'
import type { Service } from '../service.js'
import { amount, time } from '../text.js'

interface Row {
  readonly name: string
  /** "here", what goes on, or why it is not here. */
  readonly state: string
  readonly bytes: number | null
  /** ISO 8601, UTC. */
  readonly usedAt: string | null
  /** By the command or by its file. */
  readonly sticky: boolean
  /** Where it came from, or comes from. */
  readonly source: string
}

const columns: readonly Column<Row>[] = [
  { title: 'NAME', text: ({ name }) => name },
  { title: 'STATE', text: ({ state }) => withoutCause(state) },
  { title: 'SIZE', text: ({ bytes }) => (bytes === null ? '' : amount(bytes)) },
  { title: 'LAST USED (UTC)', text: ({ usedAt }) => (usedAt === null ? '' : time(usedAt)) },
  { title: 'STICKY', text: ({ sticky }) => (sticky ? 'yes' : '') },
  { title: 'SOURCE', text: ({ source }) => source },
]

/** "could not be fetched", and not all that each of the sources said. */
const withoutCause = (state: string): string => state.replace(/: .*$/s, '')

/** `upgrade list`: builds that are here, that are being fetched, and that could not be. */
export async function list(
  { builds, uses, fetches, collector }: Pick<Service, 'builds' | 'uses' | 'fetches' | 'collector'>,
  call: Pick<Call, 'list' | 'note'>,
): Promise<void> {
  const common = { bytes: null, usedAt: null, sticky: false }
  const here: Row[] = []
  for (const build of builds.list()) {
    const { name, bytes, from } = build
    const use = uses.get(name)
    const source = use?.source ?? (from === 'rsync' ? 'rsync-packed' : from)
    const sticky = (await collector.stuck(build)) !== undefined
    here.push({ name, state: 'here', bytes, usedAt: use?.usedAt ?? null, sticky, source })
  }
  const coming = fetches
    .all()
    .map(({ name, words, source }): Row => ({ ...common, name, state: words, source }))
  const failed = fetches.failed().map(({ name, why }): Row => ({ ...common, name, state: why, source: '' }))
  const rows = [...here, ...coming, ...failed]
  call.list(
    rows.sort((one, other) => (one.name < other.name ? -1 : 1)),
    columns,
  )
  for (const { name, state } of rows) if (withoutCause(state) !== state) call.note(`build-${name} ${state}`)
}
