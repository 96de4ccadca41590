import { pipeline, Readable } from 'node:stream'
import { createGzip } from 'node:zlib'
import { tarOf } from '../archive/tar.js'
import type { BytePath, Row, Tree } from '../tree.js'
import { homeForm, homeOfXo } from './home.js'
import { layoutOf } from './layout.js'

/**
 * A whole Journal as Sugar's control panel restores it from a USB stick (docs/reference/protocols.md: backup,
 * What clients can read): tar.gz with the files and directories of the datastore. Modes without setuid, setgid and sticky bits;
 * times in whole seconds, as Sugar's own have; no symbolic links, for Sugar makes none. The stream fails rather than
 * end early when a file is damaged.
 * @param home of the laptop's account: names in the archive begin with it, and Sugar unpacks them at "/"
 */
export function writeXob(tree: Tree, { home = homeOfXo }: { home?: string } = {}): Readable {
  if (!homeForm.test(home)) throw new TypeError(`not a home: ${home}`)
  const top = `${home.slice(1)}/.sugar/default/datastore`
  const { root } = layoutOf(tree)
  const tar = tarOf(tree, (row) => placed(row, root, top))
  const gzip = createGzip()
  // The error reaches whoever reads gzip, which pipeline() destroys with it.
  return pipeline(Readable.from(tar, { objectMode: false }), gzip, () => {})
}

/** A row as it stands in the bundle, or undefined when it is left out. */
function placed(row: Row, root: BytePath, prefix: BytePath): Row | undefined {
  const { path, mode } = row
  if (row.type === 'link') return undefined
  const isTop = path === root
  // What lies beside the datastore.
  if (!isTop && root !== '' && !path.startsWith(`${root}/`)) return undefined
  const below = isTop ? '' : `/${root === '' ? path : path.slice(root.length + 1)}`
  const common = { path: prefix + below, nanos: 0 }
  // Sugar sets the mode of a directory before it fills it: its owner must be let in.
  if (row.type === 'directory') return { ...row, ...common, mode: (mode & 0o777) | 0o700 }
  return { ...row, ...common, mode: mode & 0o777 }
}
