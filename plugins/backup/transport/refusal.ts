import { type Logger, RequestError } from '../../../core/api.js'

/** What a laptop is told on standard error when nothing is run for it. */
export interface Refusal {
  readonly message: string
  readonly hint?: string
  /** sysexits.h; clients take 75 for "try again later". */
  readonly exit: number
}

/** Turns an error into what the client may know of it; what it may not is logged. */
export function refusalOf(error: unknown, log: Logger): Refusal {
  if (error instanceof RequestError) {
    const { message, hint, exitCode } = error
    return { message, exit: exitCode, ...(hint === undefined ? {} : { hint }) }
  }
  log.error({ err: error }, 'a backup session failed')
  return { message: 'the server has a fault; tell your teacher', exit: 75 }
}

/** A refusal as lines for standard error, in the way of the program's own. */
export const refusalLines = ({ message, hint }: Pick<Refusal, 'message' | 'hint'>): string =>
  [message, hint]
    .filter((text) => text !== undefined)
    .map((text) => `sugar-server: ${text}\n`)
    .join('')
