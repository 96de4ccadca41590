import { isIP } from 'node:net'
import { homedir } from 'node:os'
import { resolve } from 'node:path'

/** What a value's text is read against. */
export interface Reading {
  /** Directory that relative paths start from: the settings file's, or the working directory for flags. */
  base: string
}

/** One setting: its help, its default, and how its text is read and written. */
export interface Option<T> {
  /** For help: `--id-port PORT`. A flag has none. */
  readonly placeholder?: string
  readonly help: string
  readonly default: T
  /** Said in place of the default where that depends on the machine. */
  readonly defaultText?: string
  /** Never printed. */
  readonly secret?: true
  /** As an option of a command it may be typed again: read() is given all its texts, a line each. */
  readonly repeats?: true
  /** @throws Error whose message goes behind "id-port: " */
  read(text: string, reading: Reading): T
  /** Text that read() turns into the same value. */
  write(value: T): string
}

export type Options = Readonly<Record<string, Option<unknown>>>

/** The values that options stand for. */
export type Config<O extends Options> = { readonly [K in keyof O]: O[K] extends Option<infer T> ? T : never }

interface Text {
  help: string
  default: string
  placeholder?: string
  /** What it must look like, and how to say that. */
  form?: { pattern: RegExp; says: string }
}

const line = (text: string): string => {
  if (/[\n\r\0]/.test(text)) throw new Error('must be one line of text')
  return text
}

export function text(spec: Text): Option<string> {
  return {
    placeholder: spec.placeholder ?? 'TEXT',
    help: spec.help,
    default: spec.default,
    read(value) {
      if (spec.form !== undefined && !spec.form.pattern.test(line(value))) {
        throw new Error(`must be ${spec.form.says}, not "${value}"`)
      }
      return line(value)
    },
    write: (value) => value,
  }
}

/** Text that is never printed, logged or given back. */
export const secret = (spec: { help: string }): Option<string> => ({
  ...text({ ...spec, default: '' }),
  secret: true,
})

export function integer(spec: {
  help: string
  default: number
  min: number
  max: number
  placeholder?: string
}): Option<number> {
  return {
    placeholder: spec.placeholder ?? 'N',
    help: spec.help,
    default: spec.default,
    read(value) {
      const number = /^[0-9]{1,15}$/.test(value) ? Number(value) : Number.NaN
      if (!(number >= spec.min && number <= spec.max)) {
        throw new Error(`must be a whole number from ${spec.min} to ${spec.max}, not "${value}"`)
      }
      return number
    },
    write: String,
  }
}

/** A TCP port; 0 lets the system pick a free one. */
export const port = (spec: { help: string; default: number }): Option<number> =>
  integer({ ...spec, min: 0, max: 65535, placeholder: 'PORT' })

export function seconds(spec: { help: string; default: number; max: number }): Option<number> {
  return integer({ ...spec, min: 0, placeholder: 'SECONDS' })
}

const yes = new Set(['1', 'yes', 'true', 'on'])
const no = new Set(['0', 'no', 'false', 'off'])

/** Yes or no, in the words that ConfigParser's getboolean knows. */
export function flag(spec: { help: string; default: boolean }): Option<boolean> {
  return {
    help: spec.help,
    default: spec.default,
    read(value) {
      const word = value.toLowerCase()
      if (yes.has(word)) return true
      if (no.has(word)) return false
      throw new Error(`must be yes or no, not "${value}"`)
    },
    write: (value) => (value ? 'yes' : 'no'),
  }
}

export function choice<const C extends string>(spec: {
  help: string
  default: NoInfer<C>
  of: readonly C[]
}): Option<C> {
  return {
    placeholder: spec.of.join('|'),
    help: spec.help,
    default: spec.default,
    read(value) {
      const found = spec.of.find((one) => one === value)
      if (found === undefined) throw new Error(`must be one of ${spec.of.join(', ')}, not "${value}"`)
      return found
    },
    write: String,
  }
}

/** Words with commas or line ends between them; a word that is a path is made absolute. */
export function list(spec: {
  help: string
  default: readonly string[]
  placeholder?: string
}): Option<readonly string[]> {
  return {
    placeholder: spec.placeholder ?? 'A,B',
    help: spec.help,
    default: spec.default,
    read: (value, reading) =>
      value
        .split(/[,\n]/)
        .map((word) => word.trim())
        .filter((word) => word !== '')
        .map((word) => {
          if (!isPath(word)) return word
          const found = absolute(word, reading)
          // It could not be written down: blanks around words are nobody's.
          if (found !== found.trim())
            throw new Error(`must name no path that ends in a blank, as "${word}" does`)
          return found
        }),
    write: (value) => value.join(', '),
  }
}

/**
 * A file or directory; relative to the settings file that names it, `~/` is the home directory. Where the default is
 * empty, an empty value stands for it.
 */
export function path(spec: { help: string; default: string; defaultText?: string }): Option<string> {
  return {
    placeholder: 'PATH',
    ...spec,
    read(value, reading) {
      if (line(value) === '' && spec.default === '') return ''
      if (value === '') throw new Error('must name a path')
      const found = absolute(value, reading)
      if (found !== found.trim() || value !== value.trim()) {
        throw new Error('must not begin or end with a blank: settings files cannot say so')
      }
      return found
    },
    write: (value) => value,
  }
}

/** Several files or directories, each as `path` reads one; on a line each, or, for a command, typed again. */
export function paths(spec: { help: string }): Option<readonly string[]> {
  const one = path({ ...spec, default: '/' })
  return {
    placeholder: 'PATH',
    help: spec.help,
    default: [],
    repeats: true,
    // Settings files go on with a value in a line that begins with blanks.
    read: (value, reading) =>
      value === '' ? [] : value.split(/\n */).map((word) => line(one.read(word, reading))),
    write: (value) => value.join('\n  '),
  }
}

/** An address to listen on. */
export function address(spec: { help: string; default: string }): Option<string> {
  return {
    ...text({ ...spec, placeholder: 'ADDRESS' }),
    read(value) {
      if (isIP(value) === 0 && !hostForm.test(value))
        throw new Error(`must be an IP address or a host name, not "${value}"`)
      return value
    },
  }
}

export const hostForm = /^(?=.{1,253}$)[A-Za-z0-9]([A-Za-z0-9-]{0,62})(\.[A-Za-z0-9]([A-Za-z0-9-]{0,62}))*$/

export const isPath = (word: string): boolean => /^(\.{1,2}|~)?\//.test(word)

const absolute = (word: string, reading: Reading): string =>
  word.startsWith('~/') ? resolve(homedir(), word.slice(2)) : resolve(reading.base, word)
