import { KeptDirectory, type Probe, SugarError } from '../../core/api.js'
import { checkPath } from './modules/check.js'

/** Where the published builds and modules are; see the option `rsync-root`. */
export const rsyncDirectory = new KeptDirectory({
  name: 'rsync-root',
  holds: 'the published builds',
  option: 'rsync-root',
  below: 'rsync',
  trace: 'store/rsync.builds.db',
})

/** A start fails where no rsyncd.conf can hold the path: `check` says so before. */
export const publishablePath: Probe = {
  what: 'a path of rsync-root that can be published',
  async look(settings) {
    try {
      checkPath(rsyncDirectory.guardOf(settings).path)
      return undefined
    } catch (error) {
      if (error instanceof SugarError) return error
      throw error
    }
  },
}
