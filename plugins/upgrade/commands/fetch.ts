import type { Call } from '../../../core/api.js'
import type { Build } from '../../rsync/public.js'
import type { Fetch } from '../fetch/fetch.js'
import type { Service } from '../service.js'
import { amount } from '../text.js'
import { checkName } from './build.js'

/** Milliseconds between two lines. */
const between = 2000

/** `upgrade fetch NAME`: fetches a build, and says how far it is. Who gives up leaves it to be fetched on. */
export async function fetch(
  service: Pick<Service, 'builds' | 'fetch'>,
  { args, print, note, signal }: Pick<Call, 'print' | 'note' | 'signal'> & { args: { name: string } },
): Promise<void> {
  const { name } = args
  checkName(name)
  const here = service.builds.get(name)
  if (here !== undefined) {
    print(`build-${name} is here already: ${amount(here.bytes)}`)
    return
  }
  const under = service.fetch(name)
  const telling = setInterval(() => note(`build-${name} ${under.words} ...`), between)
  try {
    const build = await ended(under, signal)
    print(
      build === undefined
        ? `build-${name} ${under.words}, and goes on`
        : `build-${name} is here: ${build.entries} files, ${amount(build.bytes)}`,
    )
  } finally {
    clearInterval(telling)
  }
}

/** @returns undefined when whoever waits has given up */
function ended(under: Fetch, signal: AbortSignal): Promise<Build | undefined> {
  return new Promise((resolve, reject) => {
    let forget: () => unknown = () => undefined
    const giveUp = () => {
      forget()
      resolve(undefined)
    }
    signal.addEventListener('abort', giveUp, { once: true })
    forget = under.ended((end) => {
      signal.removeEventListener('abort', giveUp)
      if ('build' in end) resolve(end.build)
      else reject(end.error)
    })
  })
}
