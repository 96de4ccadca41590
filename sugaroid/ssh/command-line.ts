import type { Algorithms } from 'ssh2'
import { UsageError } from '../errors.js'

/** What ssh is asked for: one command on one host. */
export interface ShellCall {
  readonly host: string
  readonly port: number
  readonly user: string
  /** The private key's file. */
  readonly keyFile: string
  /** A file of known host keys, as OpenSSH writes it. */
  readonly knownHosts: string
  /** Milliseconds to connect and log in. */
  readonly timeout: number
  readonly algorithms: Algorithms
  readonly command: string
}

type Fields = Partial<Record<'i' | 'l' | 'p', string>>

/** Options of ssh_config(5) that choose algorithms, and what the library calls them. */
const algorithmOptions = {
  KexAlgorithms: 'kex',
  Ciphers: 'cipher',
  MACs: 'hmac',
  HostKeyAlgorithms: 'serverHostKey',
} as const satisfies Record<string, keyof Algorithms>

/**
 * Options of ssh that hold for this client without a word: it reads no settings but its arguments, uses one key, asks
 * no questions, and takes a host key once.
 */
const always = new Set([
  'IdentitiesOnly=yes',
  'BatchMode=yes',
  'StrictHostKeyChecking=accept-new',
  'LogLevel=ERROR',
  'PubkeyAcceptedAlgorithms=+ssh-dss',
])

const isAlgorithm = (name: string): name is keyof typeof algorithmOptions =>
  Object.hasOwn(algorithmOptions, name)

const refuse = (word: string): UsageError =>
  new UsageError(`'${word}' is not understood here`, 'leave it out')

/** A whole number within bounds. */
function numberOf(text: string, most: number): number {
  const number = /^\d{1,9}$/.test(text) ? Number(text) : 0
  if (number < 1 || number > most) throw refuse(text)
  return number
}

/**
 * Reads the arguments of ssh that sugaroid and rsync write: options, `[USER@]HOST`, and the command.
 * @throws UsageError for what is missing, and for an option of ssh that is not among them
 */
export function parseShellCall(args: readonly string[]): ShellCall {
  const fields: Fields = {}
  const settings = new Map<string, string>()
  const algorithms: Record<string, string[]> = {}
  const set = (text: string) => {
    const [, name = '', value = ''] = /^(\w+)=(.*)$/s.exec(text) ?? []
    if (isAlgorithm(name)) algorithms[algorithmOptions[name]] = value.split(',')
    else if (name === 'UserKnownHostsFile' || name === 'ConnectTimeout' || name === 'IdentityFile')
      settings.set(name, value)
    else if (!always.has(text)) throw refuse(text)
  }
  let at = 0
  for (; args[at]?.startsWith('-'); at += 2) {
    const [option = '', value] = args.slice(at)
    if (value === undefined) throw new UsageError(`${option} needs a value`)
    if (option === '-o') set(value)
    else if (option === '-i' || option === '-l' || option === '-p')
      fields[option.slice(1) as keyof Fields] = value
    // Of ssh's own files of settings this client reads none anyway.
    else if (option !== '-F') throw refuse(option)
  }
  const [target = '', ...words] = args.slice(at)
  const [, named, host = ''] = /^(?:([^@]*)@)?([^@]+)$/.exec(target) ?? []
  const keyFile = fields.i ?? settings.get('IdentityFile')
  const user = fields.l ?? named
  const knownHosts = settings.get('UserKnownHostsFile')
  if (keyFile === undefined || user === undefined || knownHosts === undefined || words.length === 0)
    throw new UsageError('usage: [-p PORT] -i KEY -o UserKnownHostsFile=FILE [-l USER] [USER@]HOST COMMAND')
  return {
    host,
    port: numberOf(fields.p ?? '22', 65_535),
    user,
    keyFile,
    knownHosts,
    timeout: numberOf(settings.get('ConnectTimeout') ?? '30', 3600) * 1000,
    algorithms,
    command: words.join(' '),
  }
}
