import type { Probe } from '../probe.js'
import { outputOf } from './output-of.js'

/** The versions of rsync with which this server has been tried, and what is special in each. */
export const triedVersions: Readonly<Record<string, string>> = {
  '3.2.7': 'Debian 12 as it was released',
  '3.5.0':
    'Debian 12 and 13 by their security updates. It opens each part of a path by itself, which makes --temp-dir slower, and with fake super it takes what a file holds for where a link leads when a client follows links (plugins/rsync/front/link-options.ts)',
}

/** The version of the rsync of this machine; undefined where there is none, or one that does not say. */
export async function rsyncVersion(): Promise<string | undefined> {
  const said = await outputOf('rsync', ['--version'])
  return /^rsync +version v?(\d{1,4}(?:\.\d{1,4}){1,3}\w{0,8}) /.exec(said ?? '')?.[1]
}

/** Says which rsync is here, for `sugar-server check`. */
export const rsyncHere: Probe = {
  what: 'the version of rsync',
  look: async () => undefined,
  async tell() {
    const version = await rsyncVersion()
    if (version === undefined) return undefined
    if (Object.hasOwn(triedVersions, version)) return `rsync ${version}`
    const tried = Object.keys(triedVersions).join(', ')
    return `rsync ${version}, with which this server has not been tried (it has with ${tried})`
  },
}
