import { availableParallelism, loadavg } from 'node:os'

/** Load of the last minute for each CPU: 1 is a machine that has just enough to do. */
export const loadPerCpu = (): number => (loadavg()[0] ?? 0) / availableParallelism()
