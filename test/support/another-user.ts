/**
 * Arguments of setpriv, in front of a program: it runs as a user that owns nothing. It may read what root may, since the
 * code under test may lie below a home that is shut; it may write only where that user may.
 */
export const anotherUser: readonly string[] = [
  ...['--reuid=65534', '--regid=65534', '--clear-groups'],
  ...['--inh-caps=+dac_read_search', '--ambient-caps=+dac_read_search'],
]
