import { type Call, type Column, RequestError } from '../../../core/api.js'
import type { AuditLine } from '../audit/audit.js'
import type { Service } from '../service.js'

const failure = 1
const most = 10_000

const columns: readonly Column<AuditLine>[] = [
  { title: 'N', text: ({ n }) => String(n) },
  { title: 'TIME (UTC)', text: ({ at }) => at.slice(0, 19).replace('T', ' ') },
  { title: 'BY', text: ({ by }) => by },
  { title: 'WHAT', text: ({ what }) => what },
  { title: 'SERIAL', text: ({ serial }) => serial ?? '' },
  { title: 'KEY', text: ({ key }) => key.slice(0, 12) },
  { title: 'EXPIRY', text: ({ expiry }) => expiry ?? '' },
]

/** `keyring audit`: the newest lines; `--check` looks at all. @returns 1 when something is wrong with them */
export async function audit(
  service: Service,
  call: Pick<Call, 'list' | 'show'> & { options: { check: boolean; last: string } },
): Promise<number> {
  if (call.options.check) {
    const { lines, broken } = await service.audit.check()
    if (broken === undefined) {
      const say = `${lines} lines: none was removed, changed or reordered, and the end is there`
      call.show([say], { intact: true, lines })
      return 0
    }
    call.show([`broken at line ${broken.line} (${broken.what}): ${broken.says}`], {
      intact: false,
      ...broken,
    })
    return failure
  }
  const count = /^[1-9]\d{0,4}$/.test(call.options.last) ? Number(call.options.last) : 0
  if (count < 1 || count > most)
    throw new RequestError(
      'USAGE',
      `--last must be a whole number from 1 to ${most}, not "${call.options.last}"`,
    )
  call.list(await service.audit.last(count), columns)
  return 0
}
