import { KeptDirectory } from '../../core/api.js'

/** Where the published builds and modules are; see the option `rsync-root`. */
export const rsyncDirectory = new KeptDirectory({
  name: 'rsync-root',
  holds: 'the published builds',
  option: 'rsync-root',
  below: 'rsync',
  trace: 'store/rsync.builds.db',
})
