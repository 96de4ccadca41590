import {
  chmodSync,
  closeSync,
  linkSync,
  lstatSync,
  mkdtempSync,
  openSync,
  readdirSync,
  rmSync,
  statfsSync,
  statSync,
  symlinkSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import type { Settings } from '../config/settings.js'
import { type SugarError, SystemError, systemCode } from '../errors.js'
import type { Probe } from '../probe.js'
import { diskFault, unwritten } from './disk-fault.js'

/** What a directory of a plugin is called, and where it is when the option is empty. */
export interface Place {
  readonly option: string
  /** Directory in the root. */
  readonly inRoot: string
}

/** statfs(2), f_type, of file systems that disks are sold with or that come over the network. */
const kinds = new Map<number, string>([
  [0x4d44, 'FAT32'],
  [0x2011bab0, 'exFAT'],
  [0x5346544e, 'NTFS'],
  [0x7366746e, 'NTFS'],
  [0x65735546, 'FUSE, as exFAT and NTFS may be'],
  [0xff534d42, 'a share of Windows'],
  [0xfe534d42, 'a share of Windows'],
])

/** Entries of a directory that are looked at for their owner. */
const mostEntries = 2000

/**
 * A directory, named by an option, on a file system that keeps hard links, symbolic links and permissions, as ext4, xfs
 * and btrfs do, and exFAT and FAT32 do not. A link is made for that in the directory, or in the closest one above it
 * that exists, and is removed.
 */
export function keepsLinks(place: Place): Probe {
  return {
    what: `a ${place.option} that keeps links`,
    async look(settings) {
      const path = pathOf(place, settings)
      const found = nearest(path)
      const lack = lackOf(found)
      if (lack === undefined) return undefined
      if (typeof lack !== 'string') return lack
      const kind = kinds.get(statfsSync(found).type)
      return new SystemError(
        'NOT_WRITABLE',
        `${place.option}: the file system of ${path} keeps no ${lack}${kind === undefined ? '' : ` (${kind})`}`,
        {
          hint: `set ${place.option} to a directory on ext4, xfs or btrfs; new disks and sticks often have exFAT or FAT32`,
        },
      )
    },
  }
}

/** A directory, named by an option, that belongs to the user of this server with what is in it; or is not there yet. */
export function owned(place: Place): Probe {
  return {
    what: `a ${place.option} of this user's own`,
    async look(settings) {
      const path = pathOf(place, settings)
      const me = process.geteuid?.()
      for (const one of inside(path)) {
        const uid = lstatSync(one, { throwIfNoEntry: false })?.uid
        if (uid === undefined || uid === me) continue
        return new SystemError(
          'NOT_WRITABLE',
          `${place.option}: ${one} belongs to another user (uid ${uid})`,
          {
            hint: `run the server as that user, or give it the directory: chown -R ${me} ${path}`,
          },
        )
      }
      return undefined
    },
  }
}

const pathOf = ({ option, inRoot }: Place, settings: Settings): string =>
  String(settings.get(option) ?? '') || join(String(settings.get('root')), inRoot)

/** What links lack in a directory; an error when nothing can be written there for another reason. */
function lackOf(folder: string): string | SugarError | undefined {
  let scratch: string
  try {
    scratch = mkdtempSync(join(folder, '.sugar-probe-'))
  } catch (error) {
    // The probes for what can be written tell of the rest.
    return diskFault(error) === 'failing' ? (unwritten(folder, error) as SugarError) : undefined
  }
  try {
    const file = join(scratch, 'file')
    closeSync(openSync(file, 'w', 0o600))
    if (!isMade(() => linkSync(file, join(scratch, 'link')))) return 'hard links'
    if (!isMade(() => symlinkSync('file', join(scratch, 'symbolic')))) return 'symbolic links'
    if (!isMade(() => chmodSync(file, 0o640)) || (statSync(file).mode & 0o777) !== 0o640) return 'permissions'
    return undefined
  } finally {
    rmSync(scratch, { recursive: true, force: true })
  }
}

const unsupported = ['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EINVAL']

function isMade(make: () => void): boolean {
  try {
    make()
    return true
  } catch (error) {
    if (unsupported.includes(systemCode(error) ?? '')) return false
    throw error
  }
}

/** The path itself, or the closest directory above it that exists. */
function nearest(path: string): string {
  if (statSync(path, { throwIfNoEntry: false })?.isDirectory()) return path
  const above = dirname(path)
  return above === path ? path : nearest(above)
}

/** A directory, what is in it, and what is in that. Links are not followed. */
function* inside(path: string): Generator<string> {
  let left = mostEntries
  yield path
  for (const child of namesIn(path)) {
    yield join(path, child)
    for (const grandchild of namesIn(join(path, child))) {
      if (left-- <= 0) return
      yield join(path, child, grandchild)
    }
  }
}

function namesIn(path: string): string[] {
  try {
    return lstatSync(path).isDirectory() ? readdirSync(path) : []
  } catch {
    // Not there, or not ours to read, which shows in its own owner.
    return []
  }
}
