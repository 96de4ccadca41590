import type { ErrorCode, RequestError } from '../../../core/api.js'

const passing: ReadonlySet<ErrorCode> = new Set(['UNAVAILABLE', 'NO_SPACE'])

/** Whether the next try may go better. What does not pass must be mended by somebody, here or at the source. */
export const passes = ({ code }: Pick<RequestError, 'code'>): boolean => passing.has(code)
