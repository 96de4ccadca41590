import { Transform } from 'node:stream'
import { RequestError } from '../../errors.js'

/** Judges the beginning of a stream. */
export interface Head {
  /** @returns what may be passed on now @throws when nothing more may be */
  take(chunk: Buffer): Buffer
}

/**
 * A stream that passes on what a head lets through.
 * @param refused is called once, with the head's error; what comes after that is read and dropped
 */
export function judgedStream(head: Head, refused: (error: RequestError) => void): Transform {
  let isRefused = false
  return new Transform({
    transform(chunk: Buffer, _, done) {
      if (isRefused) return done()
      let passed: Buffer
      try {
        passed = head.take(chunk)
      } catch (error) {
        isRefused = true
        refused(requestError(error))
        return done()
      }
      if (passed.length > 0) this.push(passed)
      done()
    },
  })
}

/** A fault of ours ends the transfer too. */
const requestError = (error: unknown): RequestError =>
  error instanceof RequestError
    ? error
    : new RequestError('INTERNAL', 'the stream could not be read', { cause: error })
