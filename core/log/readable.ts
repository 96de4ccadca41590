import { printable } from './printable.js'

const levels: Record<number, string> = { 20: 'debug', 30: 'info', 40: 'warn', 50: 'error', 60: 'fatal' }
const known = new Set(['level', 'time', 'msg', 'plugin', 'err', 'hint'])

interface Line {
  level: number
  time: number
  msg?: string
  plugin?: string
  hint?: string
  err?: { stack?: string; message?: string; type?: string }
  [key: string]: unknown
}

/** A log line for people, made from pino's JSON: `08:03:11 warn  backup: message (key=value)`. */
export function readable(json: string): string {
  const line = JSON.parse(json) as Line
  const clock = new Date(line.time).toTimeString().slice(0, 8)
  const rest = Object.entries(line).filter(([key]) => !known.has(key))
  const facts = rest.map(
    ([key, value]) => `${key}=${typeof value === 'string' ? value : JSON.stringify(value)}`,
  )
  const who = line.plugin === undefined ? '' : `${line.plugin}: `
  const head = `${clock} ${(levels[line.level] ?? '').padEnd(5)} ${who}${line.msg ?? ''}`
  const lines = [facts.length > 0 ? `${head} (${facts.join(' ')})` : head]
  if (line.hint !== undefined) lines.push(`         ${line.hint}`)
  // A stack is for faults of ours; an error with a hint is explained already.
  if (line.level >= 50 && line.err?.stack !== undefined && line.hint === undefined) {
    lines.push(...line.err.stack.split('\n').slice(1, 4))
  }
  return `${lines.map(printable).join('\n')}\n`
}
