/** One `name = value` of a settings file. */
export interface IniEntry {
  section: string
  name: string
  value: string
  /** Line of the name, counted from 1. */
  line: number
}

export interface IniMistake {
  line: number
  message: string
}

export interface Ini {
  entries: IniEntry[]
  mistakes: IniMistake[]
}

// Python's str.strip() and \s; JavaScript's trim() takes U+FEFF as well and leaves these separators.
const blank = '\\t\\n\\v\\f\\r\\x1c-\\x20\\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000'
const edges = new RegExp(`^[${blank}]+|[${blank}]+$`, 'g')
const end = new RegExp(`[${blank}]+$`)
const firstInk = new RegExp(`[^${blank}]`)
const header = /^\[([^\n]+)\]/
const option = new RegExp(`^([^\\n]*?)[${blank}]*[=:][${blank}]*([^\\n]*)$`)

const strip = (text: string): string => text.replace(edges, '')

/**
 * Reads settings as Python's RawConfigParser does with its defaults: `=` or `:`, comments only on lines of
 * their own, continuation by indentation, names in lower case, duplicates refused.
 *
 * Unlike Python it reports every mistake and goes on, and it takes the byte order mark that editors on Windows
 * leave. The original sugar-server read its files with ConfigParser (docs/reference/protocols.md, Configuration).
 */
export function parseIni(text: string): Ini {
  const entries: IniEntry[] = []
  const mistakes: IniMistake[] = []
  const sections = new Set<string>()
  const names = new Set<string>()
  let section: string | undefined
  let current: { entry: IniEntry; lines: string[] } | undefined
  let indent = 0

  const finish = () => {
    if (current !== undefined) current.entry.value = current.lines.join('\n').replace(end, '')
    current = undefined
  }

  const lines = text.replace(/^\ufeff/, '').split(/\r\n|\n|\r/)
  for (const [index, raw] of lines.entries()) {
    const line = index + 1
    const value = strip(raw)
    if (value.startsWith('#') || value.startsWith(';')) continue
    if (value === '') {
      current?.lines.push('')
      continue
    }
    const column = raw.search(firstInk)
    if (current !== undefined && column > indent) {
      current.lines.push(value)
      continue
    }
    finish()
    indent = column
    const named = header.exec(value)?.[1]
    if (named !== undefined) {
      if (sections.has(named) && named !== 'DEFAULT')
        mistakes.push({ line, message: `section [${named}] again` })
      sections.add(named)
      section = named
      continue
    }
    if (section === undefined) {
      mistakes.push({ line, message: `"${brief(value)}" stands before any [section]` })
      continue
    }
    const [, name = '', rest = ''] = option.exec(value) ?? []
    if (name === '') {
      mistakes.push({ line, message: `expected "option = value", found "${brief(value)}"` })
      continue
    }
    const entry = { section, name: name.toLowerCase(), value: '', line }
    const unique = JSON.stringify([section, entry.name])
    if (names.has(unique)) mistakes.push({ line, message: `option ${entry.name} again in [${section}]` })
    names.add(unique)
    entries.push(entry)
    current = { entry, lines: [strip(rest)] }
  }
  finish()
  return { entries, mistakes }
}

const brief = (text: string): string => (text.length > 40 ? `${text.slice(0, 40)}...` : text)
