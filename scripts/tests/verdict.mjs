// What the TAP of one test file says. Whatever is not whole and clean TAP is a failure.
import { Parser } from 'tap-parser'

/** Reads TAP as it comes. */
export class Verdict {
  passed = 0
  failed = 0
  skipped = 0
  /** @type {{ name: string, reason: string }[]} */
  skips = []
  #parser = new Parser({ strict: true })

  constructor() {
    this.#parser.on('pass', () => (this.passed += 1))
    this.#parser.on('fail', () => (this.failed += 1))
    this.#parser.on('skip', ({ fullname, name, skip }) => {
      this.skipped += 1
      this.skips.push({ name: fullname || name, reason: skip === true ? 'no reason given' : skip })
    })
  }

  write(chunk) {
    this.#parser.write(chunk)
  }

  /**
   * Call it once, after the last byte.
   * @returns what is wrong with the stream as a whole, besides failed assertions
   */
  end() {
    this.#parser.end()
    const { ok, bailout, plan, count, failures } = this.#parser.results
    if (bailout) return [`bailed out: ${bailout === true ? 'no reason given' : bailout}`]
    if (plan.skipAll && plan.skipReason && plan.skipReason !== 'no tests found' && count === 0) {
      this.skipped += 1
      this.skips.push({ name: 'the whole file', reason: plan.skipReason.replace(/^SKIP:? */i, '') })
      return []
    }
    if (count === 0) return ['no test ran']
    if (ok) return []
    return [...new Set(failures.flatMap(({ tapError }) => (tapError ? [`TAP: ${tapError}`] : [])))].slice(
      0,
      5,
    )
  }
}
