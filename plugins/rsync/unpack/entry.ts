/** What an entry of a tree is. Sockets are in no tar. */
export type Kind = 'file' | 'directory' | 'link' | 'character device' | 'block device' | 'fifo'

/** The bits of a mode that say so. */
const formats: Readonly<Record<Kind, number>> = {
  fifo: 0o010000,
  'character device': 0o020000,
  directory: 0o040000,
  'block device': 0o060000,
  file: 0o100000,
  link: 0o120000,
}

/** What the files on disk do not say of an entry, since nobody but their owner is to have anything of them here. */
export interface Ownership {
  readonly kind: Kind
  /** Permissions, setuid, setgid and sticky bits. */
  readonly mode: number
  readonly uid: number
  readonly gid: number
  /** Of a device. */
  readonly major: number
  readonly minor: number
}

/** Type and permissions in one, as stat(2) has them. */
export const modeOf = ({ kind, mode }: Pick<Ownership, 'kind' | 'mode'>): number => formats[kind] | mode

/** Of directories that a tar has files in without naming them: what GNU tar as root makes. */
export const unnamed: Ownership = { kind: 'directory', mode: 0o755, uid: 0, gid: 0, major: 0, minor: 0 }
