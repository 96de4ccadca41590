import type { Module } from '../public.js'

/**
 * What follows links on the server, into what was not published: refused. In a tree whose owners are in attributes no
 * link is one on the disk: there our front takes these options away before rsync sees them.
 */
export const linkOptions = ['copy-links', 'copy-unsafe-links', 'copy-dirlinks'] as const

// Newer rsyncs refuse the last one by themselves.
const refuse = `refuse options = ${linkOptions.join(' ')} copy-devices`

/** What reads files of the server by name, as rules. */
const readsRules = 'cvs-exclude filter exclude-from include-from'

/** Seconds without a byte in either direction after which a transfer ends. */
export const idleSeconds = 600

/** The user whom an rsync works as: ours. Started by root, it would change to `nobody` by itself. */
function user(): string[] {
  const { geteuid, getegid } = process
  return geteuid?.() === 0 ? [`uid = ${geteuid()}`, `gid = ${getegid?.() ?? 0}`] : []
}

/**
 * The rsyncd.conf of the rsyncs that we start. What they have to say for the log comes by their standard error.
 * @param tellsFiles whether that is also each file they send
 */
export function connectionConfig(modules: readonly Module[], tellsFiles: boolean): string {
  return text([
    'use chroot = no',
    'munge symlinks = no',
    'numeric ids = yes',
    'read only = yes',
    'reverse lookup = no',
    // We see to it ourselves, but when we are killed an rsync would stay as long as its client takes nothing.
    `timeout = ${idleSeconds}`,
    'log file = /proc/self/fd/2',
    `transfer logging = ${tellsFiles ? 'yes' : 'no'}`,
    ...user(),
    ...modules.flatMap(connectionStanza),
  ])
}

function connectionStanza({ name, path, owners }: Module): string[] {
  return [
    `[${name}]`,
    `path = ${path}`,
    // Under fakeroot it takes itself for root, and would become `nobody`. Links there lead nowhere on the disk.
    ...(typeof owners === 'object' ? ['uid = 0', 'gid = 0', 'munge symlinks = yes'] : []),
    ...(owners === 'attributes' ? ['fake super = yes', refuse] : [`${refuse} ${readsRules}`]),
  ]
}

/** The rsyncd.conf of a system's own daemon, for all modules, as an OLPC XS has it. */
export function systemConfig(modules: readonly Module[]): string {
  return text([
    '# Written by sugar-server at each change of its modules: what is changed here is lost.',
    "# For the daemon of the system instead of the server's own: rsync --daemon --config=THIS FILE, run by root.",
    'use chroot = yes',
    'max connections = 10',
    'numeric ids = yes',
    'read only = yes',
    'reverse lookup = no',
    `uid = ${process.geteuid?.() ?? 'nobody'}`,
    `gid = ${process.getegid?.() ?? 'nogroup'}`,
    ...modules.flatMap(systemStanza),
  ])
}

function systemStanza({ name, path, comment, owners }: Module): string[] {
  // Its owners are known to fakeroot alone, under which a daemon of the system does not run.
  if (typeof owners === 'object') return ['', `# ${name}: only the server's own rsync can serve it.`]
  return [
    '',
    `[${name}]`,
    `path = ${path}`,
    ...(comment === '' ? [] : [`comment = ${comment}`]),
    'read only = yes',
    // With fake super, rsync 3.5.0 takes what a file holds for where a link leads, and sends no file.
    ...(owners === 'attributes' ? ['fake super = yes', refuse] : []),
  ]
}

const text = (lines: readonly string[]): string => lines.map((line) => `${line}\n`).join('')
