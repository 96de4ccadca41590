/** Exit codes, by their names in sysexits.h. */
export const exit = {
  OK: 0,
  USAGE: 64,
  DATAERR: 65,
  UNAVAILABLE: 69,
  SOFTWARE: 70,
  IOERR: 74,
  TEMPFAIL: 75,
  PROTOCOL: 76,
  NOPERM: 77,
} as const

/** The exit code that goes with the outcome of a conversation with the server. */
export const exitOf = {
  registered: exit.OK,
  answered: exit.OK,
  refused: exit.NOPERM,
  unreachable: exit.UNAVAILABLE,
  broken: exit.PROTOCOL,
  sent: exit.OK,
  unchanged: exit.OK,
  restored: exit.OK,
  busy: exit.TEMPFAIL,
  failed: exit.UNAVAILABLE,
} as const
