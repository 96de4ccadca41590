import type { Probe } from '../../probe.js'
import { rsyncVersion } from './version.js'

/** The versions of rsync with which this server has been tried, and what is special in each. */
export const knownVersions: Readonly<Record<string, string>> = {
  '3.2.7': 'Debian 12 as it was released',
  '3.5.0':
    'Debian 12 and 13 by their security updates. It opens each part of a path by itself, which makes --temp-dir slower; and with fake super it takes what a file holds for where a link leads, when a client follows links (plugins/rsync/front/link-options.ts)',
}

/** Says which rsync is here, for `sugar-server check`. */
export const rsyncHere: Probe = {
  what: 'the version of rsync',
  look: async () => undefined,
  async tell() {
    const found = await rsyncVersion().catch(() => undefined)
    if (found === undefined) return undefined
    const version = found.version.join('.')
    if (Object.hasOwn(knownVersions, version)) return `rsync ${version}`
    const known = Object.keys(knownVersions).join(', ')
    return `rsync ${version}, with which this server has not been tried (it has with ${known})`
  },
}
