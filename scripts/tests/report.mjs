// What a person reads of a test run: one line a file, skips by name, and the whole story of each failure.
import { nameOf } from './order.mjs'

/** The longest story that is printed of one file; the rest is had by running it alone. */
const longestStory = 200_000
const longestLine = 4000
/** Of a file that failed without a failed assertion, this many of its last lines are shown. */
const lastLines = 60

/** @param result of runFile @returns the lines to print */
export function report(result) {
  const { file, seconds, passed, failed, skipped, skips, faults, leftovers } = result
  const counts = [
    `${passed} passed`,
    ...(failed > 0 ? [`${failed} failed`] : []),
    ...(skipped > 0 ? [`${skipped} skipped`] : []),
  ].join(', ')
  const lines = [
    `${failed > 0 ? 'FAIL' : 'ok  '} ${seconds.toFixed(1).padStart(6)} s  ${nameOf(file)}  ${counts}`,
    ...skips.map(({ name, reason }) => `     skipped: ${name} (${reason})`),
    ...(leftovers.length > 0 ? [`     left running, and ended: ${[...new Set(leftovers)].join(', ')}`] : []),
  ]
  if (failed > 0) lines.push(...faults.map((fault) => `     ${fault}`), '', ...story(result), '')
  return lines.map(printable).join('\n')
}

/** Each failed assertion with its diagnostics, below the tests it belongs to; then standard error. */
function story({ file, failed, faults, tap, errors }) {
  const lines = tap.split('\n')
  const told = bounded(failures(lines))
  if (faults.length > 0) told.push('the last lines of its output:', ...bounded(lines.slice(-lastLines)))
  if (errors.trim() !== '') told.push('standard error:', ...bounded(errors.trimEnd().split('\n')))
  told.push(`${failed} failed in ${nameOf(file)}; alone: node ${file.replace(/^.*\/(?=dist\/test\/)/, '')}`)
  return told.map((line) => `  | ${line}`)
}

function bounded(lines) {
  let room = longestStory
  const shown = []
  for (const line of lines) {
    if (room <= 0) return [...shown, `... ${lines.length - shown.length} more lines were left out`]
    shown.push(line.length <= longestLine ? line : `${line.slice(0, longestLine)} ...`)
    room -= shown.at(-1).length
  }
  return shown
}

/** The lines of TAP that tell of failures: `not ok`, what follows until the next test, and the names of subtests around it. */
function failures(lines) {
  const told = []
  const around = []
  let telling = false
  for (const line of lines) {
    const depth = /^ */.exec(line)[0].length
    const subtest = /^ *# Subtest: /.test(line)
    if (subtest) {
      while (around.length > 0 && around.at(-1).depth >= depth) around.pop()
      around.push({ depth, line, told: false })
      telling = false
    } else if (/^ *ok /.test(line) || /^ *\d+\.\.\d+/.test(line)) telling = false
    else if (/^ *not ok /.test(line) && !/# TODO/i.test(line)) telling = true
    if (!telling) continue
    for (const test of around) {
      if (test.told || test.depth > depth) continue
      test.told = true
      told.push(test.line)
    }
    if (line.trim() !== '') told.push(line)
  }
  return told
}

/** A test may print anything; nothing of it moves the cursor or hides a line. */
const printable = (line) =>
  line.replace(
    /[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g,
    (character) => `\\x${character.charCodeAt(0).toString(16).padStart(2, '0')}`,
  )
