import { Pace, type PaceFault, type PaceLimits, ProcessTraffic, RequestError } from '../../../core/api.js'

/** Looks in the time in which a byte must move. */
const looks = 20
const longestBetween = 5000

const reasons: Readonly<Record<PaceFault, string>> = {
  idle: 'nothing has moved for too long',
  slow: 'too little has moved for so long a time',
  late: 'the transfer has taken too long',
}

/**
 * Ends a transfer that stands still or takes too long, whatever its client and its rsync do.
 * @param pid of the first process; those that it starts count too
 * @param stop is called at most once, with what the laptop is told
 * @returns a function that ends the watch
 */
export function watchPace(pid: number, limits: PaceLimits, stop: (reason: RequestError) => void): () => void {
  const traffic = new ProcessTraffic(pid)
  const pace = new Pace(limits, performance.now())
  const timer = setInterval(
    async () => {
      const fault = pace.look(performance.now(), await traffic.look())
      if (fault === undefined || isOver) return
      end()
      stop(new RequestError('UNAVAILABLE', reasons[fault], { hint: 'try again; what has come is kept' }))
    },
    Math.min(longestBetween, limits.idle / looks),
  )
  let isOver = false
  const end = () => {
    isOver = true
    clearInterval(timer)
  }
  return end
}
