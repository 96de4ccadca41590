/**
 * Lines and files of them, read as a laptop reads them.
 * Source: docs/reference/protocols.md: Anti-theft, Lease files and bundles.
 */
import { longestLine } from '../wire/record.js'
import { type ForLaptop, invalid, type LeaseQuestion, noMatch, type Verdict } from './verdict.js'

/** Lines of a text, LF or CRLF behind each; the last may have no line end. */
export function* linesOf(text: string): Generator<string> {
  for (let at = 0; at < text.length; ) {
    const found = text.indexOf('\n', at)
    const end = found < 0 ? text.length : found
    const last = end > at && text[end - 1] === '\r' ? end - 1 : end
    yield text.slice(at, last)
    at = end + 1
  }
}

/** Why a line ends the file for every laptop; undefined when it does not. */
function unreadable(line: string, tag: string): string | undefined {
  if (line.length > longestLine) return `is longer than the ${longestLine} bytes that a laptop reads`
  if (line === '') return 'is blank'
  return line.startsWith(tag) ? undefined : `does not begin with "${tag}"`
}

/** The word behind a line's tag, where its serial should be. */
export const serialIn = (line: string, tag: string): string =>
  line.slice(tag.length, tag.length + 12).split(' ', 1)[0] ?? ''

/** What a laptop makes of a line at once; undefined when the line is for this laptop and wants a closer look. */
export function glance(line: string, tag: string, { serial }: LeaseQuestion): Verdict | undefined {
  const fault = unreadable(line, tag)
  if (fault !== undefined) return invalid(fault)
  const found = serialIn(line, tag)
  return found === serial ? undefined : noMatch(`is for ${found}`)
}

/**
 * What laptops make of a file, each: the first line that it accepts or refuses ends it.
 * @param check of one line
 */
export function* walk(
  text: string,
  tag: string,
  questions: readonly LeaseQuestion[],
  check: (line: string, question: LeaseQuestion) => Verdict,
): Generator<ForLaptop> {
  const waiting = new Map(questions.map((question) => [question.serial, { question, passed: '' }]))
  let number = 0
  for (const line of linesOf(text)) {
    if (waiting.size === 0) return
    number += 1
    const fault = unreadable(line, tag)
    if (fault !== undefined) {
      for (const serial of waiting.keys()) yield { serial, verdict: ending(number, fault) }
      return
    }
    const serial = serialIn(line, tag)
    const one = waiting.get(serial)
    if (one === undefined) continue
    const found = check(line, one.question)
    if (found.verdict === 'no-match') {
      one.passed ||= `line ${number} ${found.reason}; `
      continue
    }
    waiting.delete(serial)
    yield {
      serial,
      verdict:
        found.verdict === 'valid'
          ? { ...found, reason: `line ${number} ${found.reason}` }
          : ending(number, found.reason),
    }
  }
  for (const [serial, { passed }] of waiting)
    yield {
      serial,
      verdict: noMatch(`${passed}nothing${passed === '' ? '' : ' else'} in it is for ${serial}`),
    }
}

const ending = (number: number, reason: string): Verdict =>
  invalid(`line ${number} ${reason}, and a laptop reads no further`)
