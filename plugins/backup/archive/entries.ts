import type { BytePath } from '../tree.js'

// docs/reference/protocols.md: backup, The Journal on disk. A laptop sends its datastore, or the folder that holds it.
const sharded = /^(?:datastore\/)?[0-9a-f]{2}\/([0-9A-Za-z-]{8,64})(\/data$)?(?:\/|$)/
const flat = /^(?:datastore\/)?store\/(preview\/)?([0-9A-Za-z-]{8,64})(\.metadata)?$/

/** Which entry of a Journal a path belongs to, and whether it is what the child made. */
export function entryAt(path: BytePath): { uid: string; isData: boolean } | undefined {
  const found = sharded.exec(path)
  if (found?.[1] !== undefined) return { uid: found[1], isData: found[2] !== undefined }
  const old = flat.exec(path)
  if (old?.[2] === undefined) return undefined
  return { uid: old[2], isData: old[1] === undefined && old[3] === undefined }
}
