import { basename } from 'node:path'
import { type Call, type InputFile, RequestError } from '../../../core/api.js'
import { type Brought, takeAll } from '../intake/brought.js'
import type { Desk } from '../intake/desk.js'
import { arrive } from '../intake/directory.js'
import { Incoming } from '../intake/incoming.js'
import { home } from '../intake/place.js'
import { details, isWhole, type Outcome, sum } from '../intake/tally.js'

const dataError = 65

type Import = Pick<Call, 'files' | 'print' | 'note' | 'signal'> & { args: { file: string } }

/**
 * `activation import FILE`: takes in a file, what came on standard input, or a directory.
 * @returns 65 when some of it was refused
 */
export async function importFiles(desk: Desk, call: Import): Promise<number> {
  const { args, signal } = call
  const files = call.files()[Symbol.asyncIterator]()
  const first = await files.next()
  if (first.done === true) throw nothing(args.file)
  if (first.value.path === args.file) return takeAndTell(desk, call, [single(first.value)])
  const incoming = await Incoming.open(desk)
  try {
    const arrived = await arrive(desk, joined(first.value, files), incoming, signal)
    for (const folder of arrived.passedOver) call.note(`passed over: ${folder}`)
    if (arrived.files.length + arrived.refused.length === 0) throw nothing(args.file)
    return await takeAndTell(desk, call, arrived.files, arrived.refused)
  } finally {
    await incoming.remove()
  }
}

const nothing = (file: string): RequestError =>
  new RequestError('NOT_FOUND', `nothing in ${file} is for this server`, {
    hint: `name a file, or the directory that the files lie in, such as ${home}`,
  })

const single = ({ path, bytes }: InputFile): Brought => ({
  name: path === '-' ? 'standard input' : basename(path),
  read: async () => bytes,
})

async function* joined(first: InputFile, others: AsyncIterator<InputFile>): AsyncGenerator<InputFile> {
  yield first
  for (let next = await others.next(); next.done !== true; next = await others.next()) yield next.value
}

async function takeAndTell(
  desk: Desk,
  call: Import,
  files: readonly Brought[],
  refused: readonly Outcome[] = [],
): Promise<number> {
  let isAll = true
  const tell = (outcome: Outcome) => {
    isAll &&= isWhole(outcome)
    for (const line of details(outcome)) call.note(line)
    call.print(sum(outcome))
  }
  for (const outcome of refused) tell(outcome)
  for await (const outcome of takeAll(desk, files, call.signal)) tell(outcome)
  return isAll ? 0 : dataError
}
