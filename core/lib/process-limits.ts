/** What one process may use. */
export interface ProcessLimits {
  /** Bytes of address space. */
  readonly memory: number
  /** Seconds of processor time. */
  readonly cpu: number
}

/**
 * The words that start a program with limits, by prlimit(1) of util-linux. Each process that it starts has the same
 * limits for itself.
 */
export const limitWords = ({ memory, cpu }: ProcessLimits): string[] => [
  'prlimit',
  `--as=${memory}`,
  `--cpu=${cpu}`,
  '--core=0',
  '--',
]
