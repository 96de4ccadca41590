import { RequestError } from '../../../core/api.js'
import type { Build } from '../../rsync/public.js'
import type { Fetch } from './fetch.js'

/**
 * Waits for a build as long as somebody has time; the build is fetched on without them.
 * @param seconds after which they are told to come back
 * @param signal aborted when nobody waits any more
 * @throws RequestError UNAVAILABLE with how far it has come; what the fetch ended with
 */
export function hold(fetch: Fetch, seconds: number, signal: AbortSignal): Promise<Build> {
  return new Promise((resolve, reject) => {
    let forget: () => unknown = () => undefined
    const stop = () => {
      clearTimeout(late)
      signal.removeEventListener('abort', giveUp)
      forget()
    }
    const giveUp = () => {
      stop()
      reject(new RequestError('UNAVAILABLE', `build-${fetch.name} ${fetch.words}; ${fetch.advice}`))
    }
    const late = setTimeout(giveUp, seconds * 1000)
    signal.addEventListener('abort', giveUp, { once: true })
    forget = fetch.ended((end) => {
      stop()
      if ('build' in end) resolve(end.build)
      else reject(end.error)
    })
    if (signal.aborted) giveUp()
  })
}
