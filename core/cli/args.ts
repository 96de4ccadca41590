import { didYouMean } from '../config/suggest.js'
import type { Problem } from '../errors.js'

export interface Typed {
  /** What is no option: the command and its arguments. */
  words: string[]
  options: { name: string; text: string }[]
  problems: Problem[]
}

/** Whether an option takes a value; undefined when there is no such option. */
export type TakesValue = (name: string) => boolean | undefined

/**
 * Splits a command line: `--name value`, `--name=value`, `--flag`, `--no-flag`, and `--` before words that look
 * like options.
 */
export function parseArguments(
  argv: readonly string[],
  takesValue: TakesValue,
  known: () => Iterable<string>,
): Typed {
  const typed: Typed = { words: [], options: [], problems: [] }
  const wrong = (message: string, hint = 'see "sugar-server --help"') => {
    typed.problems.push({ code: 'USAGE', message, hint })
  }
  const rest = [...argv]
  for (let word = rest.shift(); word !== undefined; word = rest.shift()) {
    if (word === '--') {
      typed.words.push(...rest.splice(0))
    } else if (word === '-h') {
      typed.options.push({ name: 'help', text: 'yes' })
    } else if (!word.startsWith('-') || word === '-') {
      typed.words.push(word)
    } else if (!word.startsWith('--')) {
      wrong(`unknown option ${word}`)
    } else {
      const [, name = '', assigned] = /^--([^=]*)(?:=(.*))?$/s.exec(word) ?? []
      const negated = name.startsWith('no-') && takesValue(name.slice(3)) === false
      const takes = takesValue(name)
      if (negated) typed.options.push({ name: name.slice(3), text: 'no' })
      else if (takes === undefined) wrong(`unknown option --${name}${didYouMean(name, known())}`)
      else if (assigned !== undefined) typed.options.push({ name, text: assigned })
      else if (!takes) typed.options.push({ name, text: 'yes' })
      else {
        const value = rest.shift()
        if (value === undefined) wrong(`--${name} needs a value`)
        else typed.options.push({ name, text: value })
      }
    }
  }
  return typed
}

/** The last value of an option that must be known before the options are, such as `--config`. */
export function peek(argv: readonly string[], name: string): string | undefined {
  const end = argv.indexOf('--')
  const words = end < 0 ? argv : argv.slice(0, end)
  for (let at = words.length - 1; at >= 0; at -= 1) {
    const word = words[at] ?? ''
    if (word.startsWith(`--${name}=`)) return word.slice(name.length + 3)
    if (word === `--${name}`) return words[at + 1]
  }
  return undefined
}
