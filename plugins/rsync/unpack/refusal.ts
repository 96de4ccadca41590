import { RequestError } from '../../../core/api.js'

const anew = 'pack the tree anew, with GNU tar and without --sparse, or get it from where it was made'
const again = 'copy it again from where it was made: it is damaged, or not all of it is there'

/** Why a packed tree is not taken. Nothing of it is kept then. */
export const refusal = (reason: string, hint = anew): RequestError =>
  new RequestError('REQUEST_INVALID', reason, { hint })

/** Of one that is not what somebody packed. */
export const incomplete = (reason: string): RequestError => refusal(reason, again)

const longestShown = 80

/** A path or name of any bytes, for a message. @param bytes one character a byte */
export function shown(bytes: string): string {
  const text = Buffer.from(bytes.slice(0, longestShown), 'latin1').toString()
  return JSON.stringify(bytes.length > longestShown ? `${text}...` : text)
}
