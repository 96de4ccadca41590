import type { Call } from '../../../core/api.js'
import type { Shelf } from '../builds/shelf.js'
import { type Outcome, sentence } from '../packed/outcome.js'

const dataError = 65

type Run = Pick<Call, 'print' | 'note' | 'signal'> & {
  args: { name?: string | undefined }
  options: { force: boolean }
}

/** `rsync refresh [--force] [NAME]` @returns 65 when something was refused */
export async function refresh({ builds }: { builds: Pick<Shelf, 'refresh'> }, call: Run): Promise<number> {
  const { args, options, signal } = call
  const progress = { note: (line: string) => call.note(line), signal }
  const outcomes = await builds.refresh({ name: args.name, force: options.force }, progress)
  for (const outcome of outcomes) {
    if (outcome.what === 'refused') call.note(sentence(outcome))
    else call.print(sentence(outcome))
  }
  const count = (what: Outcome['what']) => outcomes.filter((outcome) => outcome.what === what).length
  call.print(
    `${count('published')} published, ${count('unchanged')} as they were, ${count('withdrawn')} withdrawn, ${count('refused')} refused`,
  )
  return count('refused') === 0 ? 0 : dataError
}
