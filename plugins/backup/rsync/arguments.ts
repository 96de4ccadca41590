import { partialDirectory } from '../archive/layout.js'
import type { RsyncCommand } from './command.js'

/** Where our rsync may write besides the backup itself. Absolute paths. */
export interface Surroundings {
  /** Files that are not whole yet, on the same file system as the backup. */
  readonly temporary: string
  /** A line for each change: what it was, and bytes. */
  readonly log: string
  /** Whether the log names each file of the laptop's list: it doubles the time of a session that changes nothing. */
  readonly naming?: boolean
}

/** What a pushed marker becomes, in the directory that rsync runs in: its own path leads out of there. */
export const markerFile = '.completed'

/** Seconds without a byte after which our rsync gives up, whatever the client says: nobody keeps a slot by being gone. */
const patience = 300

/** Bytes that a marker may have; those of laptops are empty. */
const longestMarker = 4096

/**
 * The arguments of our rsync. The client's options come first and unchanged, then ours, which win.
 * @returns a list for the program rsync, no shell
 */
export function serverArguments(command: RsyncCommand, surroundings: Surroundings): string[] {
  const ours = command.direction === 'push' ? forPush(command, surroundings) : forPull(command)
  if (command.place.kind === 'marker') ours.push(`--max-size=${longestMarker}`)
  // Messages of the server may hold what no laptop should see; on standard error they can be looked at.
  ours.push('--msgs2stderr')
  ours.push(`--timeout=${Math.min(command.timeout ?? patience, patience)}`)
  const path = command.place.kind === 'marker' ? markerFile : command.path
  const sender = command.direction === 'pull' ? ['--sender'] : []
  return ['--server', ...sender, ...command.options, ...ours, '.', path]
}

/** A directory that neither `--delete` removes nor a pull sees, by any client. */
const hidden = `--filter=-p ${partialDirectory}/`

function forPush({ options, place }: RsyncCommand, { temporary, log, naming }: Surroundings): string[] {
  // A client that wants what has come of a file to be kept says so; where that is, is the receiver's business.
  const keepsPartial = options.includes('--partial') && place.kind !== 'marker'
  return [
    // A link lies on the server with a mark in front, so that it leads nowhere while it is here.
    '--munge-links',
    // The whole list at once takes 80 bytes a file; a list for each directory takes 400 KB of address space.
    '--no-inc-recursive',
    // No devices and no other owners, even where the server runs as root.
    '--no-super',
    // What cannot be read here can be neither kept nor sent back.
    '--chmod=Du+rx,Fu+r',
    // Holes are filled: a sparse file has its old length until the end, so that nobody would see it grow.
    '--no-sparse',
    `--temp-dir=${temporary}`,
    `--log-file=${log}`,
    ...(keepsPartial ? [`--partial-dir=${partialDirectory}`, hidden] : []),
    ...(naming
      ? ['--debug=genr,deltasum2', '--quiet', '--log-file-format=%i %l %n']
      : ['--log-file-format=%i %l']),
  ]
}

function forPull({ place }: RsyncCommand): string[] {
  const ours = ['--munge-links', hidden]
  // "current" is itself a link. Those that came from laptops carry the mark and lead nowhere, so only it is followed.
  if ('name' in place && place.name === 'current' && place.rest.length === 0) ours.push('--copy-dirlinks')
  return ours
}
