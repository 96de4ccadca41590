import { isIP } from 'node:net'

/** A source as `upgrade-sources` names it. */
export type SourceWord =
  | { readonly kind: 'http'; readonly template: string; readonly authorization: string | undefined }
  | { readonly kind: 'directory'; readonly path: string }
  | { readonly kind: 'school'; readonly host: string; readonly port: number }

const school =
  /^rsync:\/\/(?:\[([0-9A-Fa-f:.]{2,45})\]|([A-Za-z0-9][A-Za-z0-9.-]{0,252}))(?::([0-9]{1,5}))?\/?$/

const rsyncPort = 873

/**
 * Reads a word of `upgrade-sources`. What it says of a mistake holds no password: where an address cannot be taken
 * apart it says which word it is, and no more.
 * @param index of the word, from 0
 * @throws Error whose message goes behind the option's name
 */
export function parseSource(word: string, index: number): SourceWord {
  const which = `word ${index + 1}`
  if (word.startsWith('/')) return { kind: 'directory', path: word }
  const [, six, name, port = String(rsyncPort)] = school.exec(word) ?? []
  const host = six ?? name
  if (host !== undefined) {
    const number = Number(port)
    if (number < 1 || number > 65_535 || (six !== undefined && isIP(six) !== 6))
      throw new Error(`must have no server such as that of its ${which}, "${word}"`)
    return { kind: 'school', host, port: number }
  }
  if (!/^https?:\/\//.test(word) || !URL.canParse(word)) {
    throw new Error(
      `must have an http(s) address with {name}, a directory or rsync://HOST/ for each source; its ${which} is none`,
    )
  }
  return { kind: 'http', ...parseTemplate(word, which) }
}

function parseTemplate(word: string, which: string): { template: string; authorization: string | undefined } {
  const url = new URL(word)
  const { username, password } = url
  url.username = ''
  url.password = ''
  // A password with a slash would end up behind the host, and be shown.
  if (url.href.includes('@'))
    throw new Error(
      `must have "@" only behind a password, whose own signs are written as %40; see its ${which}`,
    )
  if (url.search !== '' || url.hash !== '')
    throw new Error(`must have addresses without "?" and "#"; its ${which} has one`)
  if (url.host.includes('{') || !url.pathname.includes('%7Bname%7D'))
    throw new Error(`must have {name} in the path of its ${which}, and nowhere else`)
  const credentials = [username, password].map(decoded).join(':')
  const authorization =
    credentials === ':' ? undefined : `Basic ${Buffer.from(credentials, 'utf8').toString('base64')}`
  // What a URL does to braces is undone: its own spelling is of no use as a template.
  return { template: url.href.replaceAll('%7Bname%7D', '{name}'), authorization }
}

/** Text of an address as it was meant. A percent sign that escapes nothing is one. */
export function decoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}
