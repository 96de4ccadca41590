import { printable, type RequestError } from '../../../core/api.js'
import type { Module } from '../public.js'

/** Characters of a text that a client's user is shown. */
const longest = 400

/** A client shows the text to its user as it is, and ends. */
export const errorLine = (text: string): string => `@ERROR: ${oneLine(text)}\n`

/** What a client is told of a refusal: the hint too, for it sees nothing else of us. */
export const textOf = ({ message, hint }: RequestError): string =>
  hint === undefined ? message : `${message}; ${hint}`

/** Shown to everyone; what begins like a word of the protocol would be taken for one. */
export const motdOf = (text: string): string =>
  text === '' ? '' : `${text.startsWith('@') ? ' ' : ''}${oneLine(text)}\n`

/** The modules, as rsync lists them; clients before protocol 25 know no end but that of the connection. */
export function listing(modules: readonly Module[], protocol: number): string {
  const lines = modules.map(({ name, comment }) => `${name.padEnd(15)}\t${comment}\n`)
  return `${lines.join('')}${protocol >= 25 ? '@RSYNCD: EXIT\n' : ''}`
}

/** What rsync itself says, so that clients and those who read their logs know it. */
export const unknownModule = (name: string): string => errorLine(`Unknown module '${name.slice(0, 80)}'`)
export const unknownCommand = (line: string): string => errorLine(`Unknown command '${line.slice(0, 80)}'`)
export const noPlace = (limit: number): string =>
  errorLine(`max connections (${limit}) reached -- try again later`)

const oneLine = (text: string): string => printable(text).slice(0, longest)
